"""Check your gradients: two-sided differences find a wrong one at once.

Question:
  How small is the error of a right gradient against differences of the cost,
  how large that of a wrong one, and which epsilon tells them apart best?
Paper:
  Andrew Ng, gradient checking: (J(p + eps) - J(p - eps)) / (2 eps) at eps =
  1e-4, in double precision, before training; then switch it off, it is slow.
Run:
  python -m experiments.lectures.gradient_checking --activation=tanh,relu
Takes:
  Under 40 seconds on two CPU cores (14 nonlinearities, 2 costs, 20 seeds).
Expect:
  Errors below 1e-9 at epsilon 1e-5 for every nonlinearity and cost. At the
  lecture's 1e-4 they are up to 5e-9, so that its threshold of 1e-9 rejects one
  right gradient in three: a larger epsilon costs accuracy as its square, a
  smaller one as its inverse. A backward pass that forgets the slope of the
  nonlinearity is off by more than 1e-3 at either.
"""

from collections.abc import Sequence
import dataclasses
from typing import Annotated, NamedTuple

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  formatting,
  functions,
  gradient_check,
  initializers,
  keys,
  launch,
  losses,
  mlp,
  networks,
  stats,
)
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerStep,
  knob,
  of_module,
)

_DIGITS = (1, 2, 3, 4, 5, 6, 7, 8)  # epsilon = 10^-digits
_BEST, _LECTURE = _DIGITS.index(5), _DIGITS.index(4)
_RIGHT, _WRONG = 1e-9, 1e-3


@dataclasses.dataclass(frozen=True)
class Config:
  """The network whose gradient is checked."""

  activation: functions.Named = networks.activation_knob('tanh')
  widths: tuple[int, ...] = knob(
    (4, 4, 4, 4), 'of all layers, from the input to the output'
  )
  examples: int = knob(5, 'how many the cost is a mean over')

  def __post_init__(self):
    if len(self.widths) < 2 or min(self.widths) < 1 or self.examples < 1:
      raise base.UserError(
        f'--widths={"-".join(map(str, self.widths))} '
        f'--examples={self.examples}: two widths or more, all at least 1'
      )


SMOKE = Config(widths=(2, 2), examples=2)


class Result(NamedTuple):
  """What is measured; of the costs in the table, of the one that is worst.

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


def run(config: Config, key: base.Key, data: None) -> Result:
  """Checks the gradient of one network at random weights and examples."""
  del data
  activation = activations.resolve(config.activation)
  params, batch = _network(config, key)
  both = activation, without_slope(activation)

  def costs(params: base.Params) -> base.Array:
    return jnp.stack([_costs(params, batch, each) for each in both])

  def sides(params: base.Params) -> base.Array:
    return _sides(params, batch, activation)

  def check(epsilon: base.Array) -> tuple[base.Array, ...]:
    right, wrong = gradient_check.relative_error(costs, params, epsilon=epsilon)
    crossed = gradient_check.differences(sides, params, epsilon=epsilon) != 0
    share = jnp.mean(jnp.any(crossed, axis=1).astype(float))
    return jnp.max(right), jnp.min(wrong), share

  epsilons = 10.0 ** -jnp.asarray(_DIGITS, float)
  right, wrong, kinks = jax.lax.map(check, epsilons)
  smooth = jnp.where(kinks[_BEST] == 0, right[_BEST], jnp.nan)
  return Result(right, kinks, smooth, wrong[_BEST])


def _network(config: Config, key: base.Key) -> tuple[base.Params, base.Batch]:
  """Weights, biases and inputs, all from U(-1, 1): one draw for all of them."""
  params = mlp.init(key, config.widths, initializers.zeros())
  empty = params, jnp.zeros((config.examples, config.widths[0]), jnp.float32)
  flat, restore = flatten_util.ravel_pytree(empty)
  key = keys.stream(key, 'init')
  params, x = restore(initializers.uniform(1.0)(key, flat.shape, flat.dtype))
  labels = jnp.arange(config.examples, dtype=jnp.int32) % config.widths[-1]
  params, x = jax.tree.map(lambda leaf: leaf.astype(float), (params, x))
  return params, base.Batch(x, labels)


def _costs(
  params: base.Params, batch: base.Batch, activation: base.Activation
) -> base.Array:
  """The mean cost of the examples, one number a cost of the table."""
  logits = mlp.apply(params, batch.x, activation)
  means = [
    jnp.mean(jax.vmap(loss.per_example)(logits, batch.y))
    for loss in losses.LOSSES.values()
  ]
  return jnp.stack(means)


def _sides(
  params: base.Params, batch: base.Batch, activation: base.Activation
) -> base.Array:
  """On which side of zero every hidden unit is for every example, raveled."""
  pre = mlp.trace(params, batch.x, activation).pre[:-1]
  return jnp.concatenate([jnp.zeros(1), *(jnp.sign(s).ravel() for s in pre)])


def without_slope(activation: base.Activation) -> base.Activation:
  """The nonlinearity with a mistake: the backward pass leaves out f'."""

  @jax.custom_vjp
  def mistaken(x: base.Array) -> base.Array:
    return activation(x)

  mistaken.defvjp(
    lambda x: (activation(x), None), lambda _, gradient: (gradient,)
  )
  return mistaken


def verdict(outcome: Outcome) -> list[str]:
  """How far right and wrong are from each other."""
  measured = outcome.measured
  right = measured['right']
  error = stats.geometric_mean(measured['error'])
  best = int(np.argmin(error.value))
  return [
    f'at epsilon 1e-5 a right gradient is off by at most '
    f'{_largest(right, np.isfinite(right)):.2g}, one without slopes by '
    f'{measured["wrong"].min():.2g} or more; epsilon 1e-{_DIGITS[best]} is '
    f'best, off by {formatting.estimate(error, best)}'
  ]


# Claims.


def _largest(errors: np.ndarray, counts: np.ndarray) -> float:
  return float(np.max(errors, initial=0, where=counts))


def _right(at: int) -> claims.Check:
  """At epsilon 10^-digits, the digits being those of that place."""

  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The errors of right gradients at one epsilon, network by network.

    Holds if every one is below the lecture's threshold of 1e-9, for every
    nonlinearity and cost. An error that is not a number counts against it.
    Networks in which a step crosses a kink have no gradient to check.

    Untested if in half of the networks of a nonlinearity, or in more, a step
    crosses a kink.
    """
    settings = claims.every(outcomes)
    smooth = [each.measured['kinks'][:, at] == 0 for each in settings]
    if min(each.mean() for each in smooth) <= 0.5:
      raise claims.Untested('steps cross a kink in half of the networks')
    errors = [
      each.measured['error'][clear, at]
      for each, clear in zip(settings, smooth, strict=True)
    ]
    worst = int(np.argmax([each.max() for each in errors]))
    within = np.concatenate(errors) < _RIGHT
    return claims.finding(
      within.all(),
      f'at epsilon 1e-{_DIGITS[at]} {within.sum()} of {within.size} networks '
      f'are within {_RIGHT:g}; largest error {errors[worst].max():.2g}, of '
      f'{settings[worst].label}',
    )

  return check


def _wrong(outcomes: Sequence[Outcome]) -> Finding:
  """The errors of gradients without the slopes, network by network.

  Holds if every one is above 1e-3 at epsilon 1e-5: a million times what the
  lecture allows a right one. An error that is not a number counts against it.

  Untested if the run has no nonlinearity of a slope other than 1.
  """
  found = [each for each in outcomes if each.config.activation != 'identity']
  if not found:
    raise claims.Untested('a nonlinearity with a slope other than 1 is wanted')
  errors = [each.measured['wrong'].min() for each in found]
  least = int(np.argmin(errors))
  return claims.finding(
    errors[least] > _WRONG,
    f'{len(found)} settings, smallest error {errors[least]:.2g}, of '
    f'{found[least].label}',
  )


_SOURCE = 'Andrew Ng, Gradient checking'

CLAIMS = (
  Claim(
    'lecture 12, right',
    'A right gradient is within 1e-9 of two-sided differences at epsilon 1e-4.',
    _SOURCE,
    _right(_LECTURE),
  ),
  Claim(
    'lecture 12, epsilon',
    'At epsilon 1e-5 it is: the error of the differences, of order epsilon^2 '
    'and 2^-53 / epsilon, is least near the cube root of 2^-53, 5e-6.',
    'derived here',
    _right(_BEST),
  ),
  Claim(
    'lecture 12, wrong',
    'One whose backward pass forgets a factor is off by more than 1e-3.',
    _SOURCE,
    _wrong,
  ),
)

PANELS = (
  Panel(
    'right', 'A right gradient', 'relative error at epsilon 1e-5', 'seeds', True
  ),
  Panel(
    'wrong', 'Without slopes', 'relative error at epsilon 1e-5', 'seeds', True
  ),
  Panel(
    'error',
    'Error',
    'relative error',
    'curve',
    True,
    over='digits of epsilon, 10^-digits',
  ),
)

EXPERIMENT = of_module(
  __name__,
  load=lambda config, data_dir: None,
  parameters=lambda config: sum(
    (n_in + 1) * n_out
    for n_in, n_out in zip(config.widths[:-1], config.widths[1:], strict=True)
  ),
  defaults={
    'activation': ','.join(activations.ACTIVATIONS),
    'seeds': '0:20',
    'lanes': '1',
  },
  steps=lambda config: _DIGITS,
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
