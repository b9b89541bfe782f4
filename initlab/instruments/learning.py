"""How well a network learns from the weights it was given.

Question:
  How fast and how well does a network learn, and how many seeds are lost?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: table 1, figures 2 to 4 and 9 to 12.
Run:
  python -m experiments.learning --init=standard,glorot --activation=tanh
Takes:
  Under 30 seconds on two CPU cores (32 seeds of 500 steps, one scheme).
Expect:
  With tanh on digits, glorot is at 6% test error within 75 steps, for which
  standard takes over 300; after 500 steps it is still ahead, 2.8% to 4.6%. On
  Shapeset so short a training hardly leaves the class prior under standard.
"""

import dataclasses
import functools
from typing import Annotated, NamedTuple

import jax.numpy as jnp

from initlab import (
  activations,
  base,
  claims,
  datasets,
  keys,
  losses,
  minibatches,
  mlp,
  networks,
  optimizers,
  probes,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  Outcome,
  Panel,
  PerLayerSample,
  PerNetwork,
  PerStep,
  PerStepLayer,
  Training,
  knob,
  of_module,
)

# The least of each whole number; the most is what float32 counts to.
_LEAST = {'batch_size': 0, 'train_size': 0, 'steps': 1, 'record_every': 1}
_LEAST |= dict.fromkeys(('examples', 'test_size', 'valid_size'), 1)

_PROBES = (
  'activation_mean',
  'activation_std',
  'activation_percentile',
  'gradient_std',
  'weight_gradient_std',
  'saturated',
  'activation_sample',
)


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network, what it learns from, and how."""

  widths: tuple[int, ...] = knob(
    (100,) * 5, 'the hidden widths: 1000x5, or 500-1000-500'
  )
  dataset: str = knob(
    'digits', 'where inputs and labels come from', datasets.DATASETS
  )
  optimizer: str = knob(
    'sgd', 'takes the steps; lbfgs wants --batch_size=0', optimizers.OPTIMIZERS
  )
  learning_rate: float = knob(0.1, 'the largest of the schedule')
  schedule: str = knob(
    'constant', 'of the learning rate over all steps', optimizers.SCHEDULES
  )
  batch_size: int = knob(
    32, 'examples a step; 0 takes all that a finite data set has'
  )
  train_size: int = knob(
    0,
    'the first so many training examples, again and again; 0 takes all of a '
    'finite data set, and of an endless one fresh ones at every step',
  )
  steps: int = knob(500, 'how many steps are taken')
  record_every: int = knob(25, 'steps from one record to the next')
  examples: int = knob(300, 'test examples the layers are looked at with')
  test_size: int = knob(
    1000, 'test examples that error and cost are of, where there are so many'
  )
  valid_size: int = knob(
    1000, 'validation examples, likewise, by which a learning rate is chosen'
  )

  def __post_init__(self):
    super().__post_init__()
    for name, least in _LEAST.items():
      if not least <= getattr(self, name) <= 2**24:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from {least} to {2**24}')
    if self.learning_rate <= 0:
      raise base.UserError(f'--learning_rate={self.learning_rate}: above 0')
    if self.optimizer == 'lbfgs' and self.batch_size:
      raise base.UserError(
        f'--batch_size={self.batch_size}: lbfgs wants 0, all examples a step'
      )
    if not self.batch_size and self.fresh():
      raise base.UserError(
        f'--batch_size=0 --dataset={self.dataset}: the data set is endless'
      )

  def fresh(self) -> bool:
    """Whether every example is seen once only."""
    return bool(datasets.DATASETS[self.dataset].draw) and not self.train_size


SMOKE = Config(
  widths=(6, 5),
  dataset='xor',
  batch_size=3,
  steps=7,
  record_every=3,
  examples=4,
)


class Data(NamedTuple):
  """What a network learns from, and what it is judged by.

  train: all training examples; None where fresh ones are drawn.
  valid: those by which settings are chosen.
  test: those that error and cost are of.
  shown: those that the layers are looked at with.
  """

  train: base.Batch | None
  valid: base.Batch
  test: base.Batch
  shown: base.Batch


class Result(NamedTuple):
  """What is recorded; NaN from where a seed diverges.

  error, cost: of the test examples.
  train_cost: mean over the minibatches since the record before.
  final_error, final_cost: after the last step.
  final_valid_error: the same of the validation examples, and of no test.
  diverged_step, last_cost: see `base.DIVERGENCE`.
  activation_sample: after the last step.
  The others: the probes of the same names.
  """

  error: PerStep
  cost: PerStep
  train_cost: PerStep
  activation_mean: PerStepLayer
  activation_std: Annotated[PerStepLayer, GEOMETRIC]
  activation_percentile: PerStepLayer
  gradient_std: Annotated[PerStepLayer, GEOMETRIC]
  weight_gradient_std: Annotated[PerStepLayer, GEOMETRIC]
  saturated: PerStepLayer
  activation_sample: PerLayerSample
  final_error: PerNetwork
  final_cost: PerNetwork
  final_valid_error: PerNetwork
  diverged_step: PerNetwork
  last_cost: PerNetwork


def load(config: Config, data_dir: str) -> Data:
  """The training examples, unless they are fresh, and the first of the rest."""
  dataset = datasets.DATASETS[config.dataset]

  def most(name: str, size: int) -> base.Batch:
    if dataset.draw is None:
      size = min(size, len(dataset.split(name, None, data_dir).x))
    return dataset.split(name, size, data_dir)

  size = config.train_size or None
  return Data(
    train=None if config.fresh() else dataset.split('train', size, data_dir),
    valid=most('valid', config.valid_size),
    test=most('test', config.test_size),
    shown=dataset.split('test', config.examples, data_dir),
  )


def start(
  config: Config, numbers: dict[str, base.Array], key: base.Key, data: Data
) -> training.State:
  """Draws one network."""
  del data
  knobs = {name: numbers[name] for name in config.knobs()}
  params = networks.draw(config, key, knobs, numbers['bias'])
  return training.start(params, _optimizer(config, numbers))


def advance(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: Data,
  state: training.State,
  first: base.Array,
  last: base.Array,
) -> training.State:
  """Takes the steps first, ..., last - 1."""
  key = keys.stream(key, 'data')
  draw = datasets.DATASETS[config.dataset].draw if config.fresh() else None
  examples = minibatches.examples(key, draw, data.train, config.batch_size)
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example
  objective = training.objective(activation, loss)
  optimizer, every = _optimizer(config, numbers), config.record_every
  return training.advance(
    objective, optimizer, examples, state, first, last, every=every
  )


def record(config: Config, data: Data, state: training.State) -> Result:
  """Looks at one network."""
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example
  cost, error = training.evaluate(state.params, data.test, activation, loss)
  _, valid = training.evaluate(state.params, data.valid, activation, loss)
  signals = mlp.signals(state.params, data.shown, activation, loss)
  looks = [
    probes.PROBES[name](state.params, activation, signals) for name in _PROBES
  ]
  alive = state.diverged_step < 0
  measured = (error, cost, state.mean_cost, *looks, error, cost, valid)
  step = state.diverged_step.astype(jnp.float32)
  return Result(
    *(jnp.where(alive, each, jnp.nan) for each in measured),
    diverged_step=jnp.where(alive, jnp.nan, step),
    last_cost=state.last_cost,
  )


def _optimizer(config: Config, numbers: dict[str, base.Array]):
  rate, steps = numbers['learning_rate'], config.steps
  return optimizers.optimizer(config.optimizer, config.schedule, rate, steps)


def numbers(config: Config) -> dict[str, float]:
  """What is traced."""
  return {
    'learning_rate': config.learning_rate,
    'bias': config.bias,
    **config.knobs(),
  }


def program(config: Config) -> Config:
  """The setting without what is traced."""
  gain = '1' if config.knobs() else 'default'
  return dataclasses.replace(config, learning_rate=1.0, bias=0.0, gain=gain)


TRAINING = Training(
  program=program,
  numbers=numbers,
  steps=lambda config: training.recorded_steps(
    config.steps, config.record_every
  ),
  start=start,
  advance=advance,
  record=record,
)


def verdict(outcome: Outcome) -> list[str]:
  """Where the training ends."""
  errors = outcome.measured['final_error']
  error, cost = map(stats.mean, (errors, outcome.measured['final_cost']))
  unit, median = losses.LOSSES[outcome.config.loss].unit, stats.median(errors)
  return [
    f'after {outcome.config.steps} steps, {error.n} of {error.total} seeds: '
    f'test error mean {claims.told(error, "%")}, median '
    f'{claims.told(median, "%")}; test cost mean {claims.told(cost)} '
    f'{unit}'
  ]


PANELS = (
  Panel('error', 'Test error', 'share of test examples', 'curve'),
  Panel('cost', 'Test cost', 'mean cost', 'curve'),
  Panel('train_cost', 'Training cost', 'mean cost', 'curve'),
  Panel(
    'activation_mean',
    'Mean and deviation (bars) of z (figure 2 of the paper)',
    'mean of z',
    'curve',
    spread='activation_std',
    hidden=True,
  ),
  Panel(
    'activation_std',
    'Deviation and 98th percentile (marks) of z (figures 3 and 10)',
    'standard deviation of z',
    'curve',
    markers='activation_percentile',
    hidden=True,
  ),
  Panel(
    'activation_sample',
    'Activations at the end of training (figure 4 of the paper)',
    'activation z',
    kind='histogram',
  ),
  Panel(
    'weight_gradient_std',
    'Weight gradients during training (figure 9 of the paper)',
    'standard deviation of dC/dw',
    'curve',
    log=True,
  ),
  Panel('saturated', 'Saturated units', 'share of units', 'curve'),
  Panel(
    'final_error', 'Final test error, seed by seed', 'final test error', 'seeds'
  ),
  Panel('final_error', 'The best of several seeds', 'final test error', 'best'),
)


EXPERIMENT = of_module(
  __name__,
  program=('-m', 'experiments.learning'),
  run=functools.partial(training.run, TRAINING, Result),
  parameters=networks.parameters,
  compared=('final_error',),
  tuned=('learning_rate', 'final_valid_error'),
)
