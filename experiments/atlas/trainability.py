"""How deep a network can be and still learn: the map of depth and weights.

Question:
  Theory gives the depth over which two signals become alike, or part. Is that
  how deep a network can be trained?
Paper:
  Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, Deep information propagation,
  2017, figure 5.
Run:
  python -m experiments.atlas.trainability --weight_variance=1,1.761,4
Takes:
  Five minutes on two CPU cores (36 settings of 16 seeds).
Expect:
  With biases of variance 0.05, tanh networks learn up to about 5 xi_c layers,
  in the ordered phase as in the chaotic one; near the critical weight variance
  of 1.761 up to 63 layers, and with 300 units and a rate of 0.001 up to 100.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, datasets, experiment, functions, keys, launch
from initlab import minibatches, mlp, networks, panels, stacked
from initlab import stats, training
from initlab.experiment import PerNetwork, knob

from . import claims_trainability


@experiment.config
class Config:
  """A setting of wide layers, and how the network is trained."""

  activation: functions.Named = networks.activation_knob('tanh')
  weight_variance: float = knob(
    1.761, 'sw2: n_in times the variance of a weight', above=0, traced=True
  )
  bias_variance: float = knob(
    0.05, 'sb2: the variance of a bias', least=0, traced=True
  )
  width: int = knob(100, 'the units of a hidden layer', least=1)
  depth: int = knob(25, 'hidden layers', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  loss: str = networks.loss_knob()
  learning_rate: float = knob(0.01, 'of gradient descent', above=0, traced=True)
  batch_size: int = knob(64, 'examples of a step', least=1)
  steps: int = knob(200, 'how many steps are taken', least=1)
  examples: int = knob(1000, 'training examples', least=1)

  def draw(self, key: base.Key) -> stacked.Stacked:
    """Normal weights and biases of the two variances."""
    dataset = datasets.resolve(self.dataset)
    hidden = (self.width,) * self.depth

    def weights(key, shape, dtype=jnp.float32):
      scale = jnp.sqrt(jnp.asarray(self.weight_variance / shape[0], dtype))
      return scale * jax.random.normal(key, shape, dtype)

    def biases(key, shape, dtype=jnp.float32):
      scale = jnp.sqrt(jnp.asarray(self.bias_variance, dtype))
      return scale * jax.random.normal(key, shape[1:], dtype)

    widths = (dataset.input_size, *hidden, dataset.num_classes)
    layers = mlp.init(keys.stream(key, 'init'), widths, weights, biases)
    return stacked.of_layers(layers)


SMOKE = Config(
  width=4, depth=2, dataset='xor', examples=4, batch_size=2, steps=3
)
SWEEP = {
  'weight_variance': (1.0, 1.4, 1.761, 2.0, 2.8, 4.0),
  'depth': (10, 16, 25, 40, 63, 100),
}


class Result(NamedTuple):
  """After the last step, on the training examples; NaN if a seed diverges.

  accuracy: the share of them that is classified right.
  mean_loss: their mean loss.
  """

  accuracy: PerNetwork
  mean_loss: PerNetwork


load = networks.load('train')


def examples(config: Config, key, data):
  """The minibatches of a seed."""
  key = keys.stream(key, 'data')
  return minibatches.shuffled(key, data, config.batch_size)


def record(config: Config, network, data, kept):
  """The accuracy and the loss of all examples."""
  del kept
  loss, error = stacked.evaluate(config, network.params, data)
  return {'accuracy': 1 - error, 'mean_loss': loss}


TRAINING = training.of_networks(
  Result,
  record,
  objective=stacked.objective,
  examples=examples,
  every=lambda config: config.steps,
)


def verdict(outcome):
  """The accuracy, and the depth in units of xi_c."""
  config = outcome.config
  accuracy = stats.average(outcome, 'accuracy')
  layers = config.depth / claims_trainability.depth_scale(config)
  return [
    f'{accuracy:%} of the training examples are right after {config.steps} '
    f'steps; the depth is {layers:.3g} xi_c'
  ]


PANELS = (
  panels.Map(
    'accuracy',
    'What learns: training accuracy',
    'accuracy',
    x='weight_variance',
    y='depth',
    lines=(claims_trainability.depth_scale,),
    multiples=claims_trainability.MULTIPLES,
  ),
  panels.Sweep(
    'accuracy', 'Training accuracy against depth', 'accuracy', knob='depth'
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_trainability.DEPTHS, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
