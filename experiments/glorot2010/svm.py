"""A deep network and a support vector machine on the same few examples.

Question:
  Given a fixed set of Shapeset images, does a deep tanh network with normalized
  weights err less than a support vector machine with a Gaussian kernel?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: section 4, 100,000 examples: 50.47% and 59.47%.
Run:
  python -m experiments.glorot2010.svm --train_size=2000 --seeds=0:5
Takes:
  2 minutes on two CPU cores (5 seeds, 2,000 examples). The time of the machine
  grows with the square of the examples: 100,000 take hours a seed.
Expect:
  With 2,000 examples the machine is ahead, 75% to 78%, the prior being at 83%:
  the gap of the paper, the other way, is one of many examples.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
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
  knob,
  of_module,
)

# Tried of both; that of the least validation error is tested.
_RATES = (0.01, 0.1)
_GAMMAS = (0.001, 0.003, 0.01)  # of exp(-gamma |x - x'|^2)


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """A network and a machine that learn from the same examples."""

  widths: tuple[int, ...] = knob(
    (256,) * 5, 'the hidden widths: 1000x5, or 500-1000-500'
  )
  train_size: int = knob(2000, 'training examples, drawn for each seed')
  valid_size: int = knob(500, 'validation examples')
  test_size: int = knob(1000, 'test examples')
  steps: int = knob(6000, 'updates of the network')
  batch_size: int = knob(10, 'examples an update')
  penalty: float = knob(10.0, "the machine's C, of a margin's violation")

  def __post_init__(self):
    super().__post_init__()
    if datasets.DATASETS[self.dataset].draw is None:
      raise base.UserError(
        f'--dataset={self.dataset}: an endless one is needed'
      )
    for name in ('train_size', 'valid_size', 'test_size', 'steps'):
      if getattr(self, name) < 1:
        raise base.UserError(f'--{name}={getattr(self, name)}: at least 1')
    if not 1 <= self.batch_size <= self.train_size:
      raise base.UserError(
        f'--batch_size={self.batch_size}: from 1 to the {self.train_size} '
        'training examples'
      )


SMOKE = Config(
  widths=(5,),
  dataset='gaussian',
  train_size=60,
  valid_size=20,
  test_size=20,
  steps=5,
)


class Data(NamedTuple):
  """What both are chosen by, and what they are judged by."""

  valid: base.Batch
  test: base.Batch


class Result(NamedTuple):
  """Test errors, each at the knob of the least validation error.

  network_error, machine_error: shares of the test examples.
  difference: the first minus the second.
  rate, gamma: what was chosen.
  """

  network_error: PerNetwork
  machine_error: PerNetwork
  difference: PerNetwork
  rate: Annotated[PerNetwork, GEOMETRIC]
  gamma: Annotated[PerNetwork, GEOMETRIC]


def load(config: Config, data_dir: str) -> Data:
  """The first examples of both splits."""
  split = datasets.DATASETS[config.dataset].split
  return Data(
    split('valid', config.valid_size, data_dir),
    split('test', config.test_size, data_dir),
  )


def run(config: Config, key: base.Key, data: Data) -> Result:
  """Draws the examples and lets both learn them."""
  train = _drawn(config)(keys.stream(key, 'examples'))
  learned = [_network(config, key, train, data, rate) for rate in _RATES]
  fitted = [_machine(config, train, data, gamma) for gamma in _GAMMAS]
  best = min(range(len(_RATES)), key=lambda i: learned[i][0])
  widest = min(range(len(_GAMMAS)), key=lambda i: fitted[i][0])
  network, machine = learned[best][1], fitted[widest][1]
  found = network, machine, network - machine, _RATES[best], _GAMMAS[widest]
  return Result(*(jnp.float32(each) for each in found))


@functools.lru_cache(maxsize=4)
def _drawn(config: Config):
  """Compiled once: `key -> training examples`."""
  draw = datasets.DATASETS[config.dataset].draw
  assert draw is not None  # the Config refuses it
  return jax.jit(lambda key: draw(key, config.train_size))


def _network(
  config: Config, key: base.Key, train: base.Batch, data: Data, rate: float
) -> tuple[float, float]:
  """Validation and test error of the trained network; 1 if it diverged."""
  found = _trained(config)(key, train, data, jnp.float32(rate))
  valid, test = (float(x) if np.isfinite(x) else 1.0 for x in found)
  return valid, test


@functools.lru_cache(maxsize=4)
def _trained(config: Config):
  """Compiled once: `(key, train, data, rate) -> validation and test error`."""
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example

  @jax.jit
  def train_and_judge(key, train, data, rate):
    optimizer = optimizers.optimizer('sgd', 'constant', rate, config.steps)
    params = networks.draw(config, key, config.knobs(), config.bias)
    state = training.advance(
      training.objective(activation, loss),
      optimizer,
      minibatches.shuffled(keys.stream(key, 'data'), train, config.batch_size),
      training.start(params, optimizer),
      jnp.int32(0),
      jnp.int32(config.steps),
      every=config.steps,
    )
    errors = [
      training.evaluate(state.params, each, activation, loss)[1]
      for each in data
    ]
    alive = state.diverged_step < 0
    return [jnp.where(alive, error, jnp.nan) for error in errors]

  return train_and_judge


def _machine(
  config: Config, train: base.Batch, data: Data, gamma: float
) -> tuple[float, float]:
  """Validation and test error of the fitted machine."""
  from sklearn import svm

  machine = svm.SVC(C=config.penalty, gamma=gamma)
  machine.fit(np.asarray(train.x), np.asarray(train.y))
  valid, test = (
    float(np.mean(machine.predict(np.asarray(each.x)) != np.asarray(each.y)))
    for each in data
  )
  return valid, test


def verdict(outcome: Outcome) -> list[str]:
  """Both errors, and which is less."""
  error = lambda name: claims.told(stats.mean(outcome.measured[name]), '%')
  return [
    f'{outcome.config.train_size} examples: network {error("network_error")}, '
    f'machine {error("machine_error")}, difference {error("difference")}'
  ]


# From so many examples on a run says something of the paper's 100,000.
_MANY = 50_000


def _network_errs_less(outcomes: Sequence[Outcome]) -> Finding:
  """The test error of the network less that of the machine, by seed.

  Both are chosen by validation examples and tested on others.

  Holds if the interval of the mean difference lies below 0.

  Untested if tanh with normalized weights is not in the run, or learns from
  less than 50,000 examples, half of the paper's: with few the machine is ahead.
  """
  one = claims.one(outcomes, init='glorot', activation='tanh')
  (evidence,) = verdict(one)
  if one.config.train_size < _MANY:
    raise claims.Untested(f'too few: {evidence}')
  difference = claims.mean(one.measured['difference'])
  return claims.finding(bool(difference.high < 0), evidence)


CLAIMS = (
  Claim(
    'support vector machine',
    'On 100,000 examples a deep tanh network with normalized weights errs less '
    'than a support vector machine with a Gaussian kernel.',
    'Glorot & Bengio 2010, section 4: 50.47% and 59.47%',
    _network_errs_less,
  ),
)

PANELS = (
  Panel('network_error', 'Network', 'share of test examples', 'seeds'),
  Panel('machine_error', 'Machine', 'share of test examples', 'seeds'),
)

EXPERIMENT = of_module(
  __name__,
  parameters=networks.parameters,
  defaults={'seeds': '0:5'},
  compiled=False,
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
