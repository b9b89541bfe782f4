"""Gradient descent, L-BFGS and conjugate gradients from the same start.

Question:
  From the same random weights and with as many evaluations, how far do gradient
  descent, L-BFGS and conjugate gradients come, and where do they end?
Paper:
  Andrew Ng, putting it together: use gradient descent or an advanced
  optimization method with backpropagation to minimise J.
Run:
  python -m experiments.lectures.optimizers --method=gd,cg,lbfgs --seeds=0:20
Takes:
  Under 60 seconds on two CPU cores (3 methods, 20 seeds, 2000 evaluations).
Expect:
  SciPy's L-BFGS and conjugate gradients are ahead of gradient descent from the
  first record on, and alone reach a gradient below 1e-5 in 2000 evaluations. J
  is not convex: other starts end in other minima, at about the same loss.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, functions, keys, launch
from initlab import networks, panels, stats, training
from initlab.experiment import GEOMETRIC, PerNetwork, PerStep, knob

from . import minimizers


@experiment.config
class Config(networks.Network):
  """A network, its regularized loss J, and the minimizer."""

  method: str = knob('lbfgs', 'what minimizes J', minimizers.METHODS)
  widths: tuple[int, ...] = knob((10,), 'the hidden widths', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  examples: int = knob(100, 'training examples', least=1, most=10**6)
  decay: float = knob(0.02, 'half of it times |w|^2 is added to the loss')
  evaluations: int = knob(2000, 'of J, at most', least=1, most=10**6)
  learning_rate: float = knob(0.5, 'of gradient descent')


SMOKE = Config(widths=(3,), dataset='xor', examples=4, evaluations=25)
SWEEP = {'method': tuple(minimizers.METHODS)}


class Result(NamedTuple):
  """What is recorded.

  mean_loss: the lowest J so far, after so many evaluations.
  gradient: its largest entry, the smallest so far.
  final_loss: the lowest J of all.
  needed: evaluations up to the first gradient below 1e-5; NaN if there is none.
  """

  mean_loss: PerStep
  gradient: Annotated[PerStep, GEOMETRIC]
  final_loss: PerNetwork
  needed: PerNetwork


load = networks.load('train')


def steps(config: Config):
  """The numbers of evaluations after which J is recorded."""
  return (1, *training.recorded_steps(config.evaluations, 10)[1:])


_start = jax.jit(lambda config, key: minimizers.vector(config.draw(key))[0])


@jax.jit
def _evaluate(config: Config, batch, flat):
  """J `[]` and its gradient `[P]`."""
  _, restore = minimizers.vector(config.draw(keys.root(0)))

  def objective(flat):
    params = restore(flat)
    squares = sum(jnp.sum(layer.w**2) for layer in params)
    loss = networks.objective(config)(params, batch)
    return loss + config.decay / 2 * squares

  return jax.value_and_grad(objective)(flat)


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Minimizes J from one random start."""
  batch = batch._replace(x=batch.x.astype(float))
  evaluate = lambda flat: _evaluate(config, batch, flat)
  start = np.array(_start(config, key))
  path = minimizers.path(
    config.method, evaluate, start, config.evaluations, config.learning_rate
  )
  loss, gradient = np.minimum.accumulate(path, axis=1)
  zero = np.flatnonzero(gradient < minimizers.ZERO) + 1.0
  at = np.minimum(steps(config), len(loss)) - 1  # it may have ended before
  return Result(
    mean_loss=jnp.asarray(loss[at]),
    gradient=jnp.asarray(gradient[at]),
    final_loss=jnp.asarray(loss[-1]),
    needed=jnp.asarray(np.append(zero, np.nan)[0]),
  )


def verdict(outcome):
  """The final J, and the evaluations to a gradient of zero."""
  loss, needed = (outcome.measured[k] for k in ('final_loss', 'needed'))
  share = stats.share(int(np.isfinite(needed).sum()), len(needed))
  after = f'to a gradient of zero after {stats.mean(needed)} evaluations'
  return [f'ends at J = {stats.mean(loss)}; {share:%} of seeds come {after}']


SOURCE = 'Andrew Ng, Putting it together'


@claims.claim('lecture 13, ahead', SOURCE)
def ahead(outcomes):
  """With equal evaluations L-BFGS and conjugate gradients are below gradient
  descent.

  Holds if the interval of the mean difference to gradient descent in the lowest
  J so far lies below 0, for both methods at every record after the start.

  Untested if one of the three methods, or a record after the start, is missing.
  """
  slow = claims.one(outcomes, method='gd')
  if len(slow.steps) < 2:
    raise claims.Untested('nothing is recorded after the start')
  fast = [claims.one(outcomes, method=name) for name in ('lbfgs', 'cg')]
  losses = np.stack([each.measured['mean_loss'] for each in fast], axis=1)
  gap = claims.mean((losses - slow.measured['mean_loss'][:, None])[:, :, 1:])
  lbfgs, cg = -gap.high.max(1)
  evidence = f'L-BFGS by {lbfgs:.2g} or more, conjugate gradients by {cg:.2g}'
  return claims.finding((gap.high < 0).all(), evidence)


@claims.claim('lecture 13, flat', SOURCE)
def flat_ends(outcomes):
  """They come to a gradient below 1e-05 from every start.

  Holds if both methods reach a gradient whose largest entry is below 1e-5, the
  default of SciPy, from every start within the evaluations of the run.

  Untested if one of the two methods is not in the run.
  """
  fast = [claims.one(outcomes, method=name) for name in ('lbfgs', 'cg')]
  needed = np.stack([each.measured['needed'] for each in fast])
  lbfgs, cg = np.isfinite(needed).sum(1)
  evidence = f'L-BFGS {lbfgs} and CG {cg} of {needed.shape[1]} starts'
  return claims.finding(np.isfinite(needed).all(), evidence)


@claims.claim('lecture 13, minima', SOURCE)
def minima(outcomes):
  """J is not convex: other random starts end at other losses.

  Were J convex, its values at two ends a and b with gradients g of P entries
  below 1e-5 would differ by |g| |a - b| at most. The decay bounds weights by
  |w|^2 <= 2 J / decay, and so |a - b| by twice that, the few biases aside:
  values would differ by 1e-5 sqrt(P) 2 sqrt(2 J / decay) at most.

  Holds if the highest and the lowest J at which L-BFGS ends differ by more.

  Untested if L-BFGS does not reach such ends from two starts, or runs without
  decay, which leaves weights unbounded.
  """
  one = claims.one(outcomes, method='lbfgs')
  ends = one.measured['final_loss'][np.isfinite(one.measured['needed'])]
  if len(ends) < 2 or one.config.decay <= 0:
    raise claims.Untested('needs two ends with a gradient of zero, and decay')
  low, high = float(ends.min()), float(ends.max())
  size = jax.eval_shape(_start, one.config, keys.root(0)).size
  apart = 2 * np.sqrt(2 * high / one.config.decay)
  bound = minimizers.ZERO * np.sqrt(size) * apart
  evidence = f'ends differ by {high - low:.2g}, by {bound:.2g} if J were convex'
  return claims.finding(high - low > bound, evidence)


_AXIS = {'log': True, 'over': 'evaluation'}
_TITLE = 'Loss so far, above the lowest of all runs'
PANELS = (
  panels.Curves('mean_loss', _TITLE, 'J - lowest J', excess=True, **_AXIS),
  panels.Curves(
    'gradient', 'Gradient, the smallest so far', 'largest entry', **_AXIS
  ),
  panels.Seeds('final_loss', 'Where it ends', 'J'),
)
EXPERIMENT = experiment.of_module(
  __name__,
  compared=('final_loss',),
  defaults={'seeds': '0:20'},
  dtype='float64',
  compiled=False,
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
