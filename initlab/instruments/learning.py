"""How well a network learns from its initial weights.

Question:
  How fast and how well does a network learn, and how many seeds diverge?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: table 1, figures 2 to 4 and 9 to 12.
Run:
  python -m experiments.learning --init=standard,glorot --activation=tanh
  With --model, any JAX model instead of the lab's MLP; its own help:
  python -m experiments.learning --model=transformer --help
Takes:
  Under 30 seconds on two CPU cores (32 seeds of 500 steps, one scheme).
Expect:
  With tanh on digits, glorot reaches 6% test error within 75 steps, standard
  after more than 300; after 500 steps glorot is still ahead, 2.8% to 4.6%. On
  Shapeset, such a short training with standard stays near the class prior.
"""

from typing import Annotated, Any, NamedTuple

from initlab import (
  base,
  datasets,
  experiment,
  functions,
  keys,
  losses,
  minibatches,
  networks,
  optimizers,
  panels,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  Outcome,
  PerLayerSample,
  PerNetwork,
  PerStep,
  PerStepLayer,
  count,
  knob,
)

_PROBES = (
  'activation_mean',
  'activation_std',
  'activation_percentile',
  'gradient_std',
  'weight_gradient_std',
  'saturated',
  'activation_sample',
)


@experiment.config
class Config(networks.Network):
  """A network, its data and its training."""

  widths: tuple[int, ...] = knob(
    (100,) * 5, 'the hidden widths: 1000x5, or 500-1000-500', least=1
  )
  dataset: functions.Named = networks.dataset_knob('digits')
  optimizer: str = knob(
    'sgd', 'the optimizer; lbfgs needs --batch_size=0', optimizers.OPTIMIZERS
  )
  learning_rate: float = knob(
    0.1, 'the peak learning rate', above=0, traced=True
  )
  schedule: str = knob(
    'constant', 'the learning-rate schedule', optimizers.SCHEDULES
  )
  batch_size: int = count(
    32, 'examples per step; 0 for full batches of a finite data set', least=0
  )
  train_size: int = count(
    0,
    'train on the first so many examples; 0 for all of a finite data set, and '
    'for fresh examples at every step of an endless one',
    least=0,
  )
  steps: int = count(500, 'the number of steps')
  record_every: int = count(25, 'steps between records')
  examples: int = count(
    300, 'test examples for the probes of the layers, at most all of them'
  )
  test_size: int = count(1000, 'test examples for error and loss, likewise')
  valid_size: int = count(
    1000, 'validation examples, likewise, for the choice of the learning rate'
  )

  def check(self) -> None:
    """Refuses L-BFGS on minibatches, and all examples of an endless set."""
    super().check()
    optimizers.check(self)
    if not self.batch_size and self.fresh():
      given = experiment.written(self.dataset)
      raise base.UserError(
        f'--batch_size=0 --dataset={given}: the data set is endless'
      )

  def fresh(self) -> bool:
    """Whether every example is used only once."""
    return bool(datasets.resolve(self.dataset).draw) and not self.train_size


SMOKE = Config(
  widths=(6, 5),
  dataset='xor',
  batch_size=3,
  steps=7,
  record_every=3,
  examples=4,
)


class Data(NamedTuple):
  """The examples of a training.

  train: all training examples; None if fresh ones are drawn.
  valid: for the choice of settings.
  test: for error and loss.
  shown: test examples for the probes.
  """

  train: base.Batch | None
  valid: base.Batch
  test: base.Batch
  shown: base.Batch


class Result(NamedTuple):
  """The records; NaN after a seed diverges.

  error, mean_loss: error and loss on the test examples.
  train_loss: mean loss of the minibatches since the previous record.
  final_error, final_loss: after the last step.
  final_valid_error: the final error on the validation examples.
  activation_sample: after the last step.
  All others: the probes of the same names.
  """

  error: PerStep
  mean_loss: PerStep
  train_loss: PerStep
  activation_mean: PerStepLayer
  activation_std: Annotated[PerStepLayer, GEOMETRIC]
  activation_percentile: PerStepLayer
  gradient_std: Annotated[PerStepLayer, GEOMETRIC]
  weight_gradient_std: Annotated[PerStepLayer, GEOMETRIC]
  saturated: PerStepLayer
  activation_sample: PerLayerSample
  final_error: PerNetwork
  final_loss: PerNetwork
  final_valid_error: PerNetwork


def load(config: Config, data_dir: str) -> Data:
  """The training examples, unless they are fresh, and the other splits."""
  dataset, train = datasets.resolve(config.dataset), None
  if not config.fresh():
    train = networks.training_examples(config, 'train_size', data_dir)
  held_out = lambda name, size: datasets.most(dataset, name, size, data_dir)
  return Data(
    train=train,
    valid=held_out('valid', config.valid_size),
    test=held_out('test', config.test_size),
    shown=held_out('test', config.examples),
  )


def examples(config: Config, key: base.Key, data: Data) -> minibatches.Examples:
  """The minibatches of a seed."""
  key = keys.stream(key, 'data')
  draw = datasets.resolve(config.dataset).draw if config.fresh() else None
  return minibatches.examples(key, draw, data.train, config.batch_size)


def record(
  config: Config, network: training.State, data: Data, kept: dict[str, Any]
) -> dict[str, base.Array]:
  """Evaluates and probes one network."""
  del kept
  params = network.params
  loss, error = networks.evaluate(config, params, data.test)
  _, valid = networks.evaluate(config, params, data.valid)
  return networks.probed(config, params, data.shown, _PROBES) | {
    'error': error,
    'mean_loss': loss,
    'train_loss': network.mean_loss,
    'final_error': error,
    'final_loss': loss,
    'final_valid_error': valid,
  }


TRAINING = training.of_networks(
  Result, record, examples=examples, optimizer=optimizers.of_config
)


def predict(config: Config, data: Data) -> dict[str, float]:
  """For claims: the least loss of a constant answer to the test examples."""
  del config
  return {'prior': losses.prior_entropy(data.test.y)}


def verdict(outcome: Outcome) -> list[str]:
  """The final test error and loss."""
  errors = outcome.measured['final_error']
  error, loss = map(stats.mean, (errors, outcome.measured['final_loss']))
  unit, median = losses.LOSSES[outcome.config.loss].unit, stats.median(errors)
  return [
    f'after {outcome.config.steps} steps, {error.n} of {error.total} seeds: '
    f'test error mean {error:%}, median '
    f'{median:%}; test loss mean {loss} '
    f'{unit}'
  ]


PANELS = (
  panels.Curves('error', 'Test error', 'share of test examples'),
  panels.Curves('mean_loss', 'Test loss', 'mean loss'),
  panels.Curves('train_loss', 'Training loss', 'mean loss'),
  panels.Curves(
    'activation_mean',
    'Mean and deviation (bars) of z (figure 2 of the paper)',
    'mean of z',
    spread='activation_std',
    hidden=True,
  ),
  panels.Curves(
    'activation_std',
    'Deviation and 98th percentile (marks) of z (figures 3 and 10)',
    'standard deviation of z',
    markers='activation_percentile',
    hidden=True,
  ),
  panels.Histogram(
    'activation_sample',
    'Activations at the end of training (figure 4 of the paper)',
    'activation z',
  ),
  panels.Curves(
    'weight_gradient_std',
    'Weight gradients during training (figure 9 of the paper)',
    'standard deviation of dC/dw',
    log=True,
  ),
  panels.Curves('saturated', 'Saturated units', 'share of units'),
  panels.Seeds(
    'final_error', 'Final test error, seed by seed', 'final test error'
  ),
  panels.Best('final_error', 'The best of several seeds', 'final test error'),
)


EXPERIMENT = experiment.of_module(
  __name__,
  program=('-m', 'experiments.learning'),
  compared=('final_error',),
  tuned=('learning_rate', 'final_valid_error'),
)
