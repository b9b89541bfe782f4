"""Check your gradients: two-sided differences find a wrong one at once.

Question:
  How large is the error of a right gradient against differences of the loss,
  how large that of a wrong one, and which epsilon tells them apart best?
Paper:
  Andrew Ng, gradient checking: (J(p + eps) - J(p - eps)) / (2 eps) at eps =
  1e-4, in double precision, before training; then switch it off, it is slow.
Run:
  python -m experiments.lectures.gradient_checking --activation=tanh,relu
Takes:
  Under 40 seconds on two CPU cores (14 nonlinearities, 2 losses, 20 seeds).
Expect:
  Errors below 1e-9 at epsilon 1e-5 for every nonlinearity and loss. At the
  lecture's 1e-4 they reach 5e-9, so that its threshold of 1e-9 rejects one
  right gradient in three: a larger epsilon costs accuracy as its square, a
  smaller one as its inverse. A backward pass that forgets the slope of the
  nonlinearity is off by more than 1e-3 at either.
"""

from typing import Annotated, NamedTuple

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np

from initlab import activations, base, experiment, functions, gradient_check
from initlab import initializers, keys, launch, losses, mlp, networks, panels
from initlab import stats
from initlab.experiment import GEOMETRIC, PerNetwork, PerStep, knob, written

from .claims_gradient_checking import GRADIENT_CHECKING

DIGITS = (1, 2, 3, 4, 5, 6, 7, 8)  # epsilon = 10^-digits
BEST = DIGITS.index(5)


@experiment.config
class Config:
  """The network whose gradient is checked."""

  activation: functions.Named = networks.activation_knob('tanh')
  widths: tuple[int, ...] = knob(
    (4, 4, 4, 4), 'of all layers, from the input to the output', least=1
  )
  examples: int = knob(5, 'how many the loss is a mean over', least=1)

  def check(self):
    """Refuses a network without an output."""
    if len(self.widths) < 2:
      where = f'--widths={written(self.widths)}'
      raise base.UserError(f'{where}: an input and an output at least')

  def draw(self, key):
    """Weights, biases and inputs `[B, n_0]` from one draw of U(-1, 1)."""
    params = mlp.init(key, self.widths, initializers.zeros())
    empty = params, jnp.zeros((self.examples, self.widths[0]), jnp.float32)
    flat, restore = flatten_util.ravel_pytree(empty)
    key = keys.stream(key, 'init')
    return restore(initializers.uniform(1.0)(key, flat.shape, flat.dtype))


SMOKE = Config(widths=(2, 2), examples=2)
SWEEP = {'activation': tuple(activations.ACTIVATIONS)}


class Result(NamedTuple):
  """Of the losses in the library's table, of the one that is worst.

  error: |a - d| / |a + d| of the gradient a and the differences d, for every
    epsilon; see `initlab.gradient_check`.
  kinks: share of the parameters whose step, to one side or the other, takes a
    unit across zero, where the piecewise nonlinearities have their kink.
  right: the error at epsilon 1e-5, where no step crosses a kink; else NaN.
  wrong: the error at epsilon 1e-5 of a backward pass without the factor f'.
  """

  error: Annotated[PerStep, GEOMETRIC]
  kinks: PerStep
  right: Annotated[PerNetwork, GEOMETRIC]
  wrong: Annotated[PerNetwork, GEOMETRIC]


def run(config: Config, key, data):
  """Checks the gradient of one network at random weights and examples."""
  del data
  params, x = jax.tree.map(lambda leaf: leaf.astype(float), config.draw(key))
  labels = jnp.arange(config.examples, dtype=jnp.int32) % config.widths[-1]
  activation = networks.activation(config)
  per_example = [jax.vmap(loss.per_example) for loss in losses.LOSSES.values()]

  def mean_losses(params):
    """`[2, losses]`, of the right backward pass and of the wrong one."""
    passes = activation, without_slope(activation)
    logits = [mlp.apply(params, x, each) for each in passes]
    means = [[jnp.mean(f(z, labels)) for f in per_example] for z in logits]
    return jnp.array(means)

  def sides(params):
    """On which side of zero every hidden unit is for every example."""
    pre = mlp.trace(params, x, activation).pre
    signs = [jnp.sign(s).ravel() for s in pre[:-1]]
    return jnp.concatenate([jnp.zeros(1), *signs])

  def check(epsilon):
    right, wrong = gradient_check.relative_error(
      mean_losses, params, epsilon=epsilon
    )
    crossed = gradient_check.differences(sides, params, epsilon=epsilon) != 0
    share = jnp.mean(jnp.any(crossed, axis=1).astype(float))
    return jnp.max(right), jnp.min(wrong), share

  epsilons = 10.0 ** -jnp.asarray(DIGITS, float)
  right, wrong, kinks = jax.lax.map(check, epsilons)
  smooth = jnp.where(kinks[BEST] == 0, right[BEST], jnp.nan)
  return Result(error=right, kinks=kinks, right=smooth, wrong=wrong[BEST])


def without_slope(activation):
  """The nonlinearity with a mistake: the backward pass leaves out f'."""
  mistaken = jax.custom_vjp(lambda x: activation(x))
  mistaken.defvjp(
    lambda x: (activation(x), None), lambda _, gradient: (gradient,)
  )
  return mistaken


def verdict(outcome):
  """How large the errors of right and wrong gradients are."""
  right, wrong = outcome.measured['right'], outcome.measured['wrong']
  largest = np.max(right, initial=0, where=np.isfinite(right))
  error = stats.geometric_mean(outcome.measured['error'])
  best = int(np.argmin(error.value))
  return [
    f'at epsilon 1e-5 a right gradient is off by at most {largest:.2g}, one '
    f'without slopes by {wrong.min():.2g} or more; epsilon 1e-{DIGITS[best]} '
    f'is best, off by {error.at(best)}'
  ]


_ERROR = 'relative error at epsilon 1e-5'
_OVER = 'digits of epsilon, 10^-digits'
PANELS = (
  panels.Seeds('right', 'A right gradient', _ERROR, log=True),
  panels.Seeds('wrong', 'Without slopes', _ERROR, log=True),
  panels.Curves('error', 'Error', 'relative error', log=True, over=_OVER),
)
EXPERIMENT = experiment.of_module(
  __name__,
  claims=GRADIENT_CHECKING,
  steps=lambda config: DIGITS,
  defaults={'seeds': '0:20', 'lanes': '1'},
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
