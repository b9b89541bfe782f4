"""Residual networks of 1,000 blocks in training, without normalization.

Question:
  How must the branches of a residual network start for it to be trained, if it
  has up to 1,000 blocks?
Paper:
  Zhang, Dauphin & Ma, Fixup initialization, 2019; De & Smith, Batch
  normalization biases residual blocks towards the identity function in deep
  networks, 2020 (SkipInit); Bachlechner et al., ReZero is all you need, 2020.
Run:
  python -m experiments.atlas.residual_training --depth=1000
Takes:
  Two minutes on two CPU cores (24 settings of 6 seeds).
Expect:
  With branches that keep the variance, networks of 1,000 blocks diverge at
  every rate. With a factor of 0 at the end of the branch, or Fixup's zeros in
  its last layer, they learn as those of 10 blocks do.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, datasets, experiment, functions, initializers, keys
from initlab import launch, minibatches, networks, panels, residual
from initlab import stats, training
from initlab.experiment import PerNetwork, PerStep, knob

from . import claims_residual


@experiment.config
class Config:
  """L blocks x + a W_2 relu(W_1 x + b), a learned, and their training."""

  branch: str = knob(
    'plain',
    'plain starts with a = 1, scaled with 1 / sqrt(L), skip_init and ReZero '
    'with 0; fixup with a = 1, W_2 = 0, W_1 divided by sqrt(L), and the output '
    'layer at 0',
    ('plain', 'scaled', 'skip_init', 'fixup'),
  )
  width: int = knob(32, 'the units of the stream', least=1)
  depth: int = knob(10, 'how many blocks', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  loss: str = networks.loss_knob()
  learning_rate: float = knob(0.01, 'of gradient descent', above=0, traced=True)
  batch_size: int = knob(64, 'examples of a step', least=1)
  steps: int = knob(50, 'how many steps are taken', least=1)
  record_every: int = knob(25, 'steps between records', least=1)
  examples: int = knob(1000, 'training examples', least=1)

  def draw(self, key: base.Key) -> dict[str, Any]:
    """Draws the input layer, the stacked blocks and the output layer."""
    dataset, n = datasets.resolve(self.dataset), self.width
    he, lecun = initializers.he_normal(), initializers.lecun_normal()
    key, fixup = keys.stream(key, 'init'), self.branch == 'fixup'

    def layer(index, n_in, n_out):
      drawn = keys.stream(keys.at(key, index), 'w')
      return lecun(drawn, (n_in, n_out), jnp.float32), jnp.zeros(n_out)

    def block(index):
      drawn = keys.at(keys.stream(key, 'blocks'), index)
      w_1 = he(keys.stream(drawn, 'w_1'), (n, n), jnp.float32)
      w_2 = lecun(keys.stream(drawn, 'w_2'), (n, n), jnp.float32)
      if fixup:
        w_1 *= residual.fixup(self.depth, 2, 1)
        w_2 *= residual.fixup(self.depth, 2, 2)
      return {'w_1': w_1, 'b': jnp.zeros(n), 'w_2': w_2}

    w, b = layer(2, n, dataset.num_classes)
    return {
      'input': layer(1, dataset.input_size, n),
      'blocks': jax.vmap(block)(jnp.arange(self.depth, dtype=jnp.uint32)),
      'factor': jnp.full(self.depth, self.factor(), jnp.float32),
      'output': (0 * w if fixup else w, b),
    }

  def factor(self) -> float:
    """a, at first."""
    if self.branch == 'scaled':
      return residual.depth_power(self.depth)
    return 0.0 if self.branch == 'skip_init' else 1.0


SMOKE = Config(
  width=3, depth=2, dataset='xor', examples=4, batch_size=2, steps=3
)
SWEEP = {
  'branch': ('plain', 'scaled', 'skip_init', 'fixup'),
  'depth': (10, 100, 1000),
  'learning_rate': (0.1, 0.01),
}


class Result(NamedTuple):
  """On the training examples; NaN from where a seed diverges.

  mean_loss, final_loss: their mean loss, and that after the last step.
  accuracy: the share of them that is classified right, after the last step.
  """

  mean_loss: PerStep
  final_loss: PerNetwork
  accuracy: PerNetwork


load = networks.load('train')


def logits(params: dict[str, Any], x: base.Array) -> base.Array:
  """The output of the network, `[B, K]`."""

  def layer(x, w, b):
    return x @ w + jnp.broadcast_to(b, (len(x), len(b)))

  def block(x, each):
    weights, factor = each
    branch = jax.nn.relu(layer(x, weights['w_1'], weights['b']))
    return x + factor * (branch @ weights['w_2']), None

  x = layer(x, *params['input'])
  x, _ = jax.lax.scan(block, x, (params['blocks'], params['factor']))
  return layer(x, *params['output'])


def objective(config: Config):
  """`(params, batch) -> []`, the mean loss."""
  loss = jax.vmap(networks.loss(config))
  return lambda params, batch: jnp.mean(loss(logits(params, batch.x), batch.y))


def examples(config: Config, key, data):
  """The minibatches of a seed."""
  key = keys.stream(key, 'data')
  return minibatches.shuffled(key, data, config.batch_size)


def record(config: Config, network, data, kept):
  """The loss and the accuracy of all examples."""
  del kept
  answers = jnp.argmax(logits(network.params, data.x), axis=-1)
  right = answers.astype(jnp.int32) == data.y
  loss = objective(config)(network.params, data)
  return {
    'mean_loss': loss,
    'final_loss': loss,
    'accuracy': jnp.mean(right.astype(data.x.dtype)),
  }


TRAINING = training.of_networks(
  Result, record, objective=objective, examples=examples
)


def verdict(outcome):
  """The accuracy after the last step."""
  accuracy = stats.average(outcome, 'accuracy')
  return [f'{accuracy:%} of the training examples are right']


PANELS = (
  panels.Sweep(
    'accuracy',
    'Training accuracy at the best rate',
    'accuracy',
    knob='depth',
    tuned=('learning_rate', 'final_loss'),
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_residual.TRAINING, defaults={'seeds': '0:6'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
