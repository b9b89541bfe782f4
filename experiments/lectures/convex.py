"""A model without hidden units has one minimum, which every start finds.

Question:
  Does it matter where a linear model, or a logistic regression, starts from,
  and may it start from zeros?
Paper:
  365 Data Science, the minimal example: targets 2x - 3z + 5 + noise, weights
  from U(-0.1, 0.1). Andrew Ng, random initialization: zeros are fine for
  logistic regression.
Run:
  python -m experiments.lectures.convex --task=linear,logistic --scale=0,0.1,5
Takes:
  Under 30 seconds on two CPU cores (2 tasks, 3 starts, 64 seeds).
Expect:
  All starts end at one and the same cost, zeros too, and recover the weights
  up to the noise of the data. A logistic regression of zeros costs ln 2, and
  its gradient is not zero.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  base,
  claims,
  initializers,
  keys,
  launch,
  minibatches,
  optimizers,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerStep,
  Training,
  knob,
  of_module,
)

TRUTH = (2.0, -3.0, 5.0)  # what x, z and 1 are multiplied by in the targets
_SAME = 1e-8  # costs closer than this are one
_ROUNDING = 1e-15  # of a cost of about one
_NEWTON = 20  # steps to the minimum; each doubles the digits near it


class Task(NamedTuple):
  """A model of one output, linear in its weights.

  target: `(key, output) -> target`, drawn around the true output s.
  cost: `(output, target) -> []` of one example.
  empty: `target -> []` the cost at an output of zero, in closed form.
  variance: of the target at a cost of curvature one; of the estimates, that of
    their error is so many times the inverse of the summed curvature.
  scale: of the true weights.
  """

  target: Callable[[base.Key, base.Array], base.Array]
  cost: Callable[[base.Array, base.Array], base.Array]
  empty: Callable[[base.Array], base.Array]
  variance: float
  scale: float


TASKS = {
  'linear': Task(
    target=lambda key, s: s + jax.random.uniform(key, s.shape, s.dtype, -1, 1),
    cost=lambda s, y: (s - y) ** 2 / 2,
    empty=lambda y: y**2 / 2,
    variance=1 / 3,
    scale=1.0,
  ),
  'logistic': Task(
    target=lambda key, s: (
      jax.random.uniform(key, s.shape, s.dtype) < jax.nn.sigmoid(s)
    ).astype(s.dtype),
    cost=lambda s, y: jax.nn.softplus(s) - y * s,
    empty=lambda y: jnp.full_like(y, np.log(2)),
    variance=1.0,
    scale=0.25,
  ),
}


@dataclasses.dataclass(frozen=True)
class Config:
  """What is fitted, and from where."""

  task: str = knob('linear', 'what the targets are', TASKS)
  scale: float = knob(
    0.1, 'weights and bias start from U(-scale, scale); 0 for zeros'
  )
  examples: int = knob(1000, 'how many it is fitted to, drawn a seed')
  learning_rate: float = knob(0.5, 'of gradient descent')
  steps: int = knob(400, 'how many steps are taken')
  record_every: int = knob(20, 'steps from one record to the next')

  def __post_init__(self):
    least = {'scale': 0, 'examples': 10, 'steps': 1, 'record_every': 1}
    for name, bound in least.items():
      if not bound <= getattr(self, name) <= 10**6:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from {bound} to 1000000')


SMOKE = Config(scale=1.0, examples=50, steps=4, record_every=2)


class Fit(NamedTuple):
  """A model being fitted.

  state: of the training, whose parameters are the `[3]` weights of x, z and 1.
  batch: `[N, 3]` inputs and `[N]` targets.
  optimum: `[3]` where the cost is smallest, by Newton's method.
  begun: `[3]` where it started from.
  """

  state: training.State
  batch: base.Batch
  optimum: base.Array
  begun: base.Array


class Result(NamedTuple):
  """What is recorded.

  excess: cost above the smallest there is; 1e-15 where it is less.
  x, z, one: the weights, over their true values.
  chi_square: squared distance of the weights from the true ones, in standard
    errors: a chi square of 3 degrees of freedom, if noise is all there is.
  start_slope: length of the gradient at the start.
  start_error: cost at the start minus that of an output of zero.
  """

  excess: Annotated[PerStep, GEOMETRIC]
  x: PerNetwork
  z: PerNetwork
  one: PerNetwork
  chi_square: PerNetwork
  start_slope: Annotated[PerNetwork, GEOMETRIC]
  start_error: PerNetwork


def start(
  config: Config, numbers: dict[str, base.Array], key: base.Key, data: None
) -> Fit:
  """Draws the examples, the same for every start, and the start."""
  del data
  batch = _examples(config, keys.stream(key, 'data'))
  uniform = initializers.uniform(1.0)
  begun = uniform(keys.stream(key, 'init'), (3,), jnp.float32).astype(float)
  begun *= numbers['scale']
  objective = _objective(config)

  def newton(index: int, weights: base.Array) -> base.Array:
    del index
    curvature = jax.hessian(objective)(weights, batch)
    slope = jax.grad(objective)(weights, batch)
    return weights - jnp.linalg.solve(curvature, slope)

  optimum = jax.lax.fori_loop(0, _NEWTON, newton, jnp.zeros_like(begun))
  state = training.start(begun, optimizers.descent(numbers['learning_rate']))
  return Fit(state, batch, optimum, begun)


def _examples(config: Config, key: base.Key) -> base.Batch:
  """x and z of variance one, uniform, and their targets."""
  task = TASKS[config.task]
  uniform = initializers.uniform(3**0.5)
  x = uniform(keys.stream(key, 'x'), (config.examples, 2), jnp.float32)
  x = jnp.concatenate([x, jnp.ones_like(x[:, :1])], 1).astype(float)
  output = x @ (task.scale * jnp.asarray(TRUTH, float))
  return base.Batch(x, task.target(keys.stream(key, 'y'), output))


def _objective(config: Config) -> training.Objective:
  def mean_cost(weights: base.Array, batch: base.Batch) -> base.Array:
    return jnp.mean(TASKS[config.task].cost(batch.x @ weights, batch.y))

  return mean_cost


def advance(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: None,
  fit: Fit,
  first: base.Array,
  last: base.Array,
) -> Fit:
  """Takes the steps first, ..., last - 1, of all examples each."""
  del key, data
  state = training.advance(
    _objective(config),
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(fit.batch),
    fit.state,
    first,
    last,
    every=config.record_every,
  )
  return fit._replace(state=state)


def record(config: Config, data: None, fit: Fit) -> Result:
  """Looks how far it is from the minimum, and from the truth."""
  del data
  task, objective = TASKS[config.task], _objective(config)
  weights, batch = fit.state.params, fit.batch
  truth = task.scale * jnp.asarray(TRUTH, float)
  curvature = jax.hessian(objective)(fit.optimum, batch)
  off = weights - truth
  slope = jax.grad(objective)(fit.begun, batch)
  excess = objective(weights, batch) - objective(fit.optimum, batch)
  return Result(
    jnp.maximum(jnp.abs(excess), _ROUNDING),
    *(weights / truth),
    chi_square=config.examples * (off @ curvature @ off) / task.variance,
    start_slope=jnp.linalg.norm(slope),
    start_error=objective(fit.begun, batch) - jnp.mean(task.empty(batch.y)),
  )


TRAINING = Training(
  program=lambda config: dataclasses.replace(
    config, learning_rate=0.0, scale=0.0
  ),
  numbers=lambda config: {
    name: getattr(config, name) for name in ('learning_rate', 'scale')
  },
  steps=lambda config: training.recorded_steps(
    config.steps, config.record_every
  ),
  start=start,
  advance=advance,
  record=record,
)


def verdict(outcome: Outcome) -> list[str]:
  """Where it ends."""
  measured = outcome.measured
  distance = stats.mean(measured['chi_square'])
  return [
    f'at most {measured["excess"][:, -1].max():.2g} above the smallest cost; '
    f'squared distance of the weights from the true ones '
    f'{claims.told(distance)} in standard errors, expected 3'
  ]


# Claims.


def _recovers(outcomes: Sequence[Outcome]) -> Finding:
  """The squared distance of the weights from the true ones, in standard errors.

  It is a chi square of 3 degrees of freedom, of mean 3, if the noise of the
  targets is all there is.

  Holds if the interval of its mean over data sets holds 3, from every start.

  Untested if an interval reaches farther than 1.5 to both sides: errors of
  twice the variance, of mean 6, could then go unnoticed.
  """
  holds, told = [], []
  settings = claims.every(outcomes, task='linear')
  for outcome in settings:
    distance = claims.mean(outcome.measured['chi_square'], len(settings))
    holds.append(claims.agrees(distance, 3, within=1.5))
    told.append(f'scale {outcome.config.scale:g}: {claims.told(distance)}')
  what = 'mean squared distance in standard errors, expected 3'
  return claims.finding(claims.together(holds), f'{what}: {"; ".join(told)}')


def _one_minimum(task: str) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The cost at the end, above the smallest that Newton's method finds.

    Holds if it is below 1e-8 in every run, from zeros and from every other
    start: then all costs agree to 1e-8, as the claim says.

    Untested if zeros, or all other starts, are not in the run.
    """
    found = claims.every(outcomes, task=task)
    claims.one(found, scale=0.0)
    if len(found) == 1:
      raise claims.Untested('other starts than zeros are wanted')
    ends = np.stack([each.measured['excess'][:, -1] for each in found])
    return claims.finding(
      ends.max() < _SAME,
      f'{ends.size} runs from {len(found)} kinds of start end at most '
      f'{ends.max():.2g} above the smallest cost of their data',
    )

  return check


def _zeros(outcomes: Sequence[Outcome]) -> Finding:
  """Cost and gradient at weights of zero, for every data set.

  Holds if the cost is ln 2 up to the rounding of a mean of N equal terms, N u
  with u = 2^-53, and the gradient is longer than that rounding, so not zero.

  Untested if logistic regression from zeros is not in the run.
  """
  one = claims.one(outcomes, task='logistic', scale=0.0)
  zeros, bound = one.measured, one.config.examples * 2.0**-53
  error = np.abs(zeros['start_error']).max()
  slope = zeros['start_slope'].min()
  return claims.finding(
    error <= bound and slope > bound,
    f'off ln 2 by {error:.2g}, at most {bound:.2g} by rounding; shortest '
    f'gradient of {len(zeros["start_slope"])} data sets {slope:.3g}',
  )


_LINEAR = '365 Data Science, the minimal example'
_LOGISTIC = 'Andrew Ng, Random initialization'

CLAIMS = (
  Claim(
    'lecture 2, recovered',
    'The weights of 2x - 3z + 5 are recovered within the noise.',
    _LINEAR,
    _recovers,
  ),
  Claim(
    'lecture 2, any start',
    'They are the same from any start, zero included: costs agree to 1e-8.',
    _LINEAR,
    _one_minimum('linear'),
  ),
  Claim(
    'lecture 4, zeros',
    'A logistic regression of zeros costs ln 2, and its gradient is not zero.',
    _LOGISTIC,
    _zeros,
  ),
  Claim(
    'lecture 4, one optimum',
    'From zeros it ends where random starts end: costs agree to 1e-8.',
    _LOGISTIC,
    _one_minimum('logistic'),
  ),
)

PANELS = (
  Panel('excess', 'Excess cost', 'above the smallest', 'curve', True),
  Panel('x', 'The weight of x at the end', 'over the true one', 'seeds'),
)

EXPERIMENT = of_module(
  __name__,
  load=lambda config, data_dir: None,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: 3 * config.examples,
  defaults={'task': 'linear,logistic', 'scale': '0,0.1,5', 'seeds': '0:64'},
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
