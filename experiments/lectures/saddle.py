"""Zeros are a saddle of a network: nothing moves but the last bias.

Question:
  Why does a network not learn from weights of zero, and is what it is stuck at
  a minimum?
Paper:
  Hugo Larochelle, parameter initialization: with tanh and weights of zero all
  gradients are zero. Andrew Ng, random initialization.
Run:
  python -m experiments.lectures.saddle --init=zeros,glorot --depth=1,2
Takes:
  Under 40 seconds on two CPU cores (zeros and a random start, 1 and 2 hidden
  layers, 8 seeds).
Expect:
  From zeros every gradient but the last bias's is exactly zero, at every step,
  and the cost ends at the entropy of the classes, far above that of random
  starts. With one hidden layer the Hessian has a negative eigenvalue there: a
  way down that the gradient does not see. With two it has none: all is flat.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  functions,
  hessian,
  keys,
  launch,
  losses,
  minibatches,
  networks,
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

_NEAR = 1e-6  # nats, of a cost that is at its smallest
# What is stored is in float32, of relative precision 6e-8; an eigenvalue is off
# by the last bias's remaining gradient, too, which is below 1e-9 then.
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network, and how it is trained on all examples at every step."""

  init: functions.Named = networks.init_knob('zeros')
  widths: tuple[int, ...] = knob((16,), 'the hidden widths: 16, or 32-16')
  examples: int = knob(200, 'how many it is trained on')
  optimizer: str = knob('lbfgs', 'takes the steps', optimizers.OPTIMIZERS)
  learning_rate: float = knob(1.0, 'of the optimizer')
  steps: int = knob(40, 'how many steps are taken')
  record_every: int = knob(10, 'steps from one record to the next')

  def __post_init__(self):
    super().__post_init__()
    for name in ('examples', 'steps', 'record_every'):
      if not 1 <= getattr(self, name) <= 10**6:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from 1 to 1000000')


SMOKE = Config(widths=(2,), dataset='xor', examples=4, steps=4, record_every=2)


class Result(NamedTuple):
  """What is recorded; NaN from where a seed diverges.

  cost: mean over the examples, in nats.
  excess: cost above the entropy of the classes, the least without an input.
  gradient: the largest entry of the gradient, of all but the last bias.
  bias_gradient: the largest entry of that of the last bias.
  curvature: the smallest eigenvalue of the Hessian, from 30 products.
  final_curvature: that after the last step.
  """

  cost: PerStep
  excess: PerStep
  gradient: Annotated[PerStep, GEOMETRIC]
  bias_gradient: Annotated[PerStep, GEOMETRIC]
  curvature: PerStep
  final_curvature: PerNetwork


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the training split."""
  dataset = datasets.DATASETS[config.dataset]
  return dataset.split('train', config.examples, data_dir)


def start(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: base.Batch,
) -> training.State:
  """Draws one network."""
  del data
  params = networks.draw(config, key, config.knobs(), config.bias)
  doubles = jax.tree.map(lambda leaf: leaf.astype(float), params)
  return training.start(doubles, _optimizer(config, numbers))


def advance(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: base.Batch,
  state: training.State,
  first: base.Array,
  last: base.Array,
) -> training.State:
  """Takes the steps first, ..., last - 1."""
  del key
  return training.advance(
    _objective(config),
    _optimizer(config, numbers),
    minibatches.whole(data._replace(x=data.x.astype(float))),
    state,
    first,
    last,
    every=config.record_every,
  )


def record(config: Config, data: base.Batch, state: training.State) -> Result:
  """Looks at one network."""
  batch = data._replace(x=data.x.astype(float))
  objective = lambda params: _objective(config)(params, batch)
  cost, gradient = jax.value_and_grad(objective)(state.params)
  *below, (last_w, last_b) = gradient
  rest = [*jax.tree.leaves(below), last_w]
  key = keys.stream(keys.root(0), 'curvature')
  classes = datasets.DATASETS[config.dataset].num_classes
  prior = jnp.mean(jax.nn.one_hot(batch.y, classes, dtype=float), axis=0)
  curvature = hessian.extremes(objective, state.params, key)[0]
  measured = Result(
    cost=cost,
    excess=cost - jnp.sum(jax.scipy.special.entr(prior)),
    gradient=jnp.max(jnp.stack([jnp.max(jnp.abs(each)) for each in rest])),
    bias_gradient=jnp.max(jnp.abs(last_b)),
    curvature=curvature,
    final_curvature=curvature,
  )
  alive = state.diverged_step < 0
  return Result(*(jnp.where(alive, each, jnp.nan) for each in measured))


def _objective(config: Config) -> training.Objective:
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example
  return training.objective(activation, loss)


def _optimizer(config: Config, numbers: dict[str, base.Array]):
  rate = numbers['learning_rate']
  return optimizers.optimizer(config.optimizer, 'constant', rate, config.steps)


TRAINING = Training(
  program=lambda config: dataclasses.replace(config, learning_rate=1.0),
  numbers=lambda config: {'learning_rate': config.learning_rate},
  steps=lambda config: training.recorded_steps(
    config.steps, config.record_every
  ),
  start=start,
  advance=advance,
  record=record,
)


def predict(config: Config, batch: base.Batch) -> dict[str, Any]:
  """The curvature at the end of a training from zeros.

  At zero weights, where the last bias has made p the shares of the classes,
  the Hessian of a network with one hidden layer couples only w_1 to w_2: an
  entry of w_1 (input i, unit j) with one of w_2 (unit j, class k) by

      C_ik = f'(0) mean over the examples of x_i (p_k - y_k),

  so its eigenvalues are plus and minus the singular values of C, each once a
  unit, beside those of the last bias, which are not negative. With more layers
  there is nothing left but the latter, the smallest of which is 0.
  """
  if (config.init, config.activation) != ('zeros', 'tanh') or config.bias:
    return {}
  x, y = np.asarray(batch.x, float), np.asarray(batch.y)
  hot = np.eye(datasets.DATASETS[config.dataset].num_classes)[y]
  coupling = x.T @ (hot.mean(0) - hot) / len(x)
  lowest = np.linalg.norm(coupling, 2) if len(config.layer_widths()) == 3 else 0
  return {'final_curvature': np.asarray(-lowest)}


def verdict(outcome: Outcome) -> list[str]:
  """Where it ends, and what there is to see from there."""
  measured = outcome.measured
  excess = stats.mean(measured['excess'][:, -1])
  curvature = stats.mean(measured['final_curvature'])
  return [
    f'largest gradient but that of the last bias: '
    f'{measured["gradient"].max():.2g} in all records',
    f'cost at the end less the entropy of the classes: {claims.told(excess)} '
    f'nats; smallest curvature there {claims.told(curvature)}',
  ]


# Claims.


def _zeros(outcomes: Sequence[Outcome]) -> list[Outcome]:
  return claims.every(outcomes, init='zeros', activation='tanh', bias=0.0)


def _no_gradient(outcomes: Sequence[Outcome]) -> Finding:
  """The largest entry of all gradients but the last bias's, at every record.

  Holds if it is exactly 0, and the last bias has a gradient at the start. A
  record that is not a number counts against it.

  Untested if zeros with tanh are not in the run, or the cost of zeros is within
  1e-6 nats of the entropy of the classes already: they are equally frequent,
  and the last bias has no gradient either.
  """
  found = _zeros(outcomes)
  if np.min([each.measured['excess'][:, 0].min() for each in found]) < _NEAR:
    raise claims.Untested('the classes are equally frequent')
  largest = np.max([each.measured['gradient'].max() for each in found])
  first = np.min([each.measured['bias_gradient'][:, 0].min() for each in found])
  return claims.finding(
    largest == 0 and first > 0,
    f'of the last bias {first:.3g} at the first step; of all else at most '
    f'{largest:g} at {sum(len(each.steps) for each in found)} records',
  )


def _prior(outcomes: Sequence[Outcome]) -> Finding:
  """The cost at the end, less the entropy of the classes.

  Holds if every seed of zeros ends within 1e-6 nats of the entropy, which is
  the least that a bias alone can reach and float32 can tell from 2.3 nats, and
  the interval of the mean lies below 0 for every random start.

  Untested if zeros with tanh, or random starts, are not in the run.
  """
  ends = [each.measured['excess'][:, -1] for each in _zeros(outcomes)]
  others = [each for each in outcomes if each.config.init != 'zeros']
  if not others:
    raise claims.Untested('random starts are wanted')
  below = [claims.mean(each.measured['excess'][:, -1]) for each in others]
  told = ', '.join(claims.told(each) for each in below)
  off = np.max(np.abs(ends))
  return claims.finding(
    off < _NEAR and all(each.high < 0 for each in below),
    f'zeros end at most {off:.2g} nats from the entropy, random starts at '
    f'{told} nats from it',
  )


def _saddle(outcomes: Sequence[Outcome]) -> Finding:
  """The smallest eigenvalue of the Hessian at the end, seed by seed.

  Holds if it is negative and within 1e-6 of itself of what `predict` derives:
  it is stored in float32, of relative precision 6e-8.

  Untested if zeros with tanh and one hidden layer are not in the run.
  """
  found = [each for each in _zeros(outcomes) if _hidden(each) == 1]
  if not found:
    raise claims.Untested('zeros with one hidden layer are wanted')
  measured = np.stack([each.measured['final_curvature'] for each in found])
  theory = np.array([[each.predicted['final_curvature']] for each in found])
  error = np.abs(measured - theory).max()
  return claims.finding(
    (measured < 0).all() and error < _ROUNDING * np.abs(theory).min(),
    f'smallest eigenvalue {measured.max():.7g}, off the theory by {error:.2g}',
  )


def _flat(outcomes: Sequence[Outcome]) -> Finding:
  """The smallest eigenvalue of the Hessian at the end, seed by seed.

  Holds if it is within 1e-6 of 0, where one hidden layer has about -1: the
  gradient of the last bias that is left moves it by less than 1e-9.

  Untested if zeros with tanh and two hidden layers or more are not in the run.
  """
  found = [each for each in _zeros(outcomes) if _hidden(each) > 1]
  if not found:
    raise claims.Untested('zeros with two hidden layers are wanted')
  measured = np.stack([each.measured['final_curvature'] for each in found])
  lowest = np.abs(measured).max()
  return claims.finding(
    lowest < _ROUNDING, f'smallest eigenvalue within {lowest:.2g} of zero'
  )


def _hidden(outcome: Outcome) -> int:
  return len(outcome.config.layer_widths()) - 2


_LAROCHELLE = 'Hugo Larochelle, Parameter initialization'

CLAIMS = (
  Claim(
    'lecture 5, gradients',
    "From zeros, with tanh, every gradient but the last bias's is exactly 0.",
    _LAROCHELLE,
    _no_gradient,
  ),
  Claim(
    'lecture 5, prior',
    'Training from zeros ends at the entropy of the classes, from random '
    'weights below it.',
    _LAROCHELLE,
    _prior,
  ),
  Claim(
    'lecture 5, saddle',
    'That is a saddle: with one hidden layer the Hessian has a negative '
    'eigenvalue, minus the largest singular value of inputs times errors.',
    'derived here',
    _saddle,
  ),
  Claim(
    'lecture 5, flat',
    'With more hidden layers it has none: the saddle is flat to second order.',
    'derived here',
    _flat,
  ),
)

PANELS = (
  Panel('cost', 'Cost', 'nats', 'curve'),
  Panel('curvature', 'Curvature', 'smallest eigenvalue', 'curve'),
)

EXPERIMENT = of_module(
  __name__,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=networks.parameters,
  defaults={'init': 'zeros,glorot', 'depth': '1,2', 'seeds': '0:8'},
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
