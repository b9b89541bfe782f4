"""A model without hidden units has one minimum, reached from every start.

Question:
  Does the starting point matter for linear or logistic regression, and may
  training start from zeros?
Paper:
  365 Data Science, the minimal example: 2x - 3z + 5 + noise, from weights in
  U(-0.1, 0.1). Andrew Ng, random initialization: zeros do for logistic models.
Run:
  python -m experiments.lectures.convex --task=linear,logistic --scale=0,0.1,5
Takes:
  Under 30 seconds on two CPU cores (2 tasks, 3 starts, 64 seeds).
Expect:
  All starts, zeros too, end at the same loss and recover the weights within the
  noise. A logistic regression of zeros has the loss ln 2 and gradients above 0.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import claims, experiment, initializers, keys, launch
from initlab import minibatches, panels, stats, training
from initlab.experiment import GEOMETRIC, PerNetwork, PerStep, knob

from . import regression


@experiment.config
class Config:
  """The model and its starting point."""

  task: str = knob('linear', 'which regression', regression.MODELS)
  scale: float = knob(0.1, 'starts: U(-scale, scale)', least=0, traced=True)
  examples: int = knob(1000, 'drawn for each seed', least=10, most=10**6)
  learning_rate: float = knob(0.5, 'of gradient descent', traced=True)
  steps: int = knob(400, 'the number of steps', least=1, most=10**6)
  record_every: int = knob(20, 'steps between records', least=1, most=10**6)

  def model(self):
    """The regression."""
    return regression.MODELS[self.task]

  def draw(self, key):
    """The `[3]` initial weights."""
    drawn = initializers.uniform(1.0)(keys.stream(key, 'init'), (3,))
    return self.scale * drawn.astype(float)

  def batch(self, key):
    """The examples of a seed, the same for every start."""
    return self.model().examples(keys.stream(key, 'data'), self.examples)


SMOKE = Config(scale=1.0, examples=50, steps=4, record_every=2)
SWEEP = {'task': ('linear', 'logistic'), 'scale': (0.0, 0.1, 5.0)}


class Result(NamedTuple):
  """What is recorded.

  excess: loss above its minimum; 1e-15 where it is less.
  x, z, one: the weights, over their true values.
  chi_square: squared distance from the true weights, in standard errors.
  start_slope: norm of the gradient before the first step.
  start_error: loss before the first step, minus that of an output of zero.
  """

  excess: Annotated[PerStep, GEOMETRIC]
  x: PerNetwork
  z: PerNetwork
  one: PerNetwork
  chi_square: PerNetwork
  start_slope: Annotated[PerNetwork, GEOMETRIC]
  start_error: PerNetwork


def before(config: Config, key, weights, data):
  """The minimum, and loss and gradient at the start."""
  del data
  model, batch = config.model(), config.batch(key)
  loss, slope = jax.value_and_grad(model.mean_loss)(weights, batch)
  return {
    'batch': batch,
    'minimum': model.minimum(batch),
    'start_slope': jnp.linalg.norm(slope),
    'start_error': loss - jnp.mean(model.empty(batch.y)),
  }


def record(config: Config, network, data, kept):
  """The distance of the weights from the minimum and from the true ones."""
  del data
  model, weights, batch = config.model(), network.params, kept['batch']
  least = model.mean_loss(kept['minimum'], batch)
  excess = jnp.abs(model.mean_loss(weights, batch) - least)
  x, z, one = weights / model.truth()
  return {
    'excess': jnp.maximum(excess, 1e-15),  # the rounding of a loss of about 1
    **{'x': x, 'z': z, 'one': one},
    'chi_square': model.distance(weights, kept['minimum'], batch),
  }


TRAINING = training.of_networks(
  Result,
  record,
  objective=lambda config: config.model().mean_loss,
  examples=lambda config, key, data: minibatches.whole(config.batch(key)),
  before=before,
)


def verdict(outcome):
  """How close to the minimum a run ends, and how close to the true weights."""
  excess = outcome.measured['excess'][:, -1].max()
  distance = stats.mean(outcome.measured['chi_square'])
  return [f'excess loss at most {excess:.2g}, chi square of weights {distance}']


LINEAR = '365 Data Science, the minimal example'
LOGISTIC = 'Andrew Ng, Random initialization'


@claims.claim('lecture 2, recovered', LINEAR)
def recovered(outcomes):
  """The weights of 2x - 3z + 5 are recovered within the noise.

  Then `chi_square` is one of 3 degrees of freedom, whose mean is 3.

  Holds if the interval of its mean over data sets holds 3, from every start.

  Untested if half an interval exceeds 1.5, which could hide twice the variance.
  """
  found = claims.every(outcomes, task='linear')
  means = [claims.mean(x.measured['chi_square'], len(found)) for x in found]
  holds = [claims.agrees(mean, 3, within=1.5) for mean in means]
  evidence = f'expected 3, found {"; ".join(map(str, means))}'
  return claims.finding(claims.together(holds), evidence)


@claims.claim('lecture 2, any start', LINEAR)
def any_start(outcomes):
  """They are the same from any start, zero included: losses agree to 1e-8.

  Holds if every run ends less than 1e-8 above the minimum by Newton's method.

  Untested if zeros, or all other starts, are not in the run.
  """
  return _one_minimum(claims.every(outcomes, task='linear'))


@claims.claim('lecture 4, zeros', LOGISTIC)
def zeros(outcomes):
  """A logistic regression of zeros costs ln 2, and its gradient is not zero.

  Holds if for every data set the loss is ln 2 up to the rounding of a mean of N
  equal terms, N u with u = 2^-53, and the norm of the gradient is above that.

  Untested if logistic regression from zeros is not in the run.
  """
  one = claims.one(outcomes, task='logistic', scale=0.0)
  bound = one.config.examples * 2.0**-53
  error = np.abs(one.measured['start_error']).max()
  slope = one.measured['start_slope'].min()
  evidence = f'off ln 2 by {error:.2g}, smallest gradient {slope:.3g}'
  return claims.finding(error <= bound < slope, evidence)


@claims.claim('lecture 4, one optimum', LOGISTIC)
def one_optimum(outcomes):
  """From zeros it ends where random starts end: losses agree to 1e-8.

  Holds if every run ends less than 1e-8 above the minimum by Newton's method.

  Untested if zeros, or all other starts, are not in the run.
  """
  return _one_minimum(claims.every(outcomes, task='logistic'))


def _one_minimum(outcomes):
  claims.one(outcomes, scale=0.0)
  if len(outcomes) == 1:
    raise claims.Untested('needs other starts than zeros')
  worst = np.max([each.measured['excess'][:, -1] for each in outcomes])
  return claims.finding(worst < 1e-8, f'excess loss at most {worst:.2g}')


PANELS = (
  panels.Curves('excess', 'Excess loss', 'above the smallest', log=True),
  panels.Seeds('x', 'The weight of x at the end', 'over the true one'),
)
EXPERIMENT = experiment.of_module(
  __name__, defaults={'seeds': '0:64', 'lanes': '8'}, dtype='float64'
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
