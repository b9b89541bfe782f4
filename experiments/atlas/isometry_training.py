"""How many steps deep isometric networks need, against their depth.

Question:
  Orthogonal weights and a small variance make deep tanh networks isometric. Do
  they learn sooner than networks whose Jacobians have a wide spectrum, and how
  much longer do they take the deeper they are?
Paper:
  Pennington, Schoenholz & Ganguli, Resurrecting the sigmoid in deep learning
  through dynamical isometry, 2017, abstract and experiments: there, networks
  of 200 layers of 400 units on CIFAR-10 (only its abstract could be read).
Run:
  python -m experiments.atlas.isometry_training --weights=orthogonal
Takes:
  A minute and a half on two CPU cores (60 settings of 6 seeds).
Expect:
  Isometric networks need 6 steps with 8 layers and 31 with 72, an exponent of
  0.73, which is nearer to the square root than to a line, if barely. Others
  take at least three times as long with 72 layers.
"""

from typing import NamedTuple

import numpy as np

from initlab import base, datasets, experiment, functions, initializers
from initlab import keys, launch, meanfield, mlp, networks, optimizers
from initlab import panels, stacked, training
from initlab.experiment import PerNetwork, knob

from . import claims_isometry, learning_time

_DRAWN = {
  'orthogonal': initializers.critical_orthogonal,
  'normal': initializers.critical,
}


@experiment.config
class Config:
  """Layers on the critical line, and how they are trained."""

  activation: functions.Named = networks.activation_knob('tanh')
  weights: str = knob('orthogonal', 'how they are drawn', tuple(_DRAWN))
  q: float = knob(0.025, 'the variance of the pre-activations', above=0)
  width: int = knob(64, 'the units of a hidden layer', least=1)
  depth: int = knob(32, 'hidden layers', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  loss: str = networks.loss_knob()
  scaled_rate: float = knob(
    1.0, 'the learning rate times the hidden layers', above=0, traced=True
  )
  examples: int = knob(64, 'training examples, all in every step', least=1)
  steps: int = knob(100, 'how many steps are taken', least=1)
  target: float = knob(
    1.15, 'the loss at which it has learned, half of an even guess', above=0
  )

  def point(self) -> meanfield.Critical:
    """Where chi_1 = 1 and q is the fixed point."""
    with experiment.blaming(self, 'activation', 'q'):
      return meanfield.critical_point(self.activation, self.q)

  def draw(self, key: base.Key) -> stacked.Stacked:
    """Weights and normal biases with chi_1 = 1 and the fixed point q."""
    dataset, given = datasets.resolve(self.dataset), (self.activation, self.q)
    hidden = (self.width,) * self.depth
    widths = (dataset.input_size, *hidden, dataset.num_classes)
    weights, biases = _DRAWN[self.weights], initializers.critical_bias
    key = keys.stream(key, 'init')
    return stacked.of_layers(
      mlp.init(key, widths, weights(*given), biases(*given))
    )


SMOKE = Config(
  width=4, depth=2, dataset='xor', examples=4, steps=4, target=10.0
)
SWEEP = {
  'activation': ('tanh', 'relu'),
  'weights': ('orthogonal', 'normal'),
  'depth': (8, 24, 72),
  'scaled_rate': (0.5, 1.0, 2.0, 4.0, 8.0),
}


class Result(NamedTuple):
  """After the last step.

  learning_time: the first step whose loss is below the target; NaN if none is.
  final_loss: the mean loss after the last step; NaN if the seed diverges.
  """

  learning_time: PerNetwork
  final_loss: PerNetwork


def load(config: Config, data_dir: str) -> base.Batch:
  """Examples of the mean square with which the first layer has variance q."""
  batch = networks.load('train')(config, data_dir)
  point = config.point()
  square = (config.q - point.bias_variance) / point.weight_variance
  factor = np.sqrt(square / np.mean(np.square(batch.x)))
  return batch._replace(x=batch.x * np.float32(factor))


def record(config: Config, network, batch, kept):
  """The loss of all examples."""
  del kept
  loss, _ = stacked.evaluate(config, network.params, batch)
  return {'final_loss': loss}


TRAINING = training.of_networks(
  Result,
  record,
  objective=stacked.objective,
  optimizer=lambda config: optimizers.descent(
    config.scaled_rate / config.depth
  ),
  every=lambda config: config.steps,
  before=learning_time.before,
  watch=learning_time.watch,
)
verdict = learning_time.verdict


PANELS = (
  panels.Sweep(
    'learning_time',
    'Steps until learned, at the best rate',
    'steps',
    log=True,
    knob='depth',
    tuned=('scaled_rate', 'learning_time'),
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_isometry.TRAINING, defaults={'seeds': '0:6'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
