"""How small, and how large, random initial weights may be.

Question:
  Random values in [-epsilon, epsilon] break symmetry. Over how many decades may
  epsilon lie, before training stalls or units saturate?
Paper:
  Ng, Machine Learning (Stanford, Coursera), "Random initialization":
  Theta1 = rand(10,11)*(2*INIT_EPSILON) - INIT_EPSILON.
Run:
  python -m experiments.lectures.init_scale
Takes:
  20 seconds on two CPU cores (32 seeds of 2000 steps, 11 values of epsilon).
Expect:
  A U over five decades. From 0.1 to 3 a network solves the exclusive or of two
  of ten inputs within 200 steps. At 0.001 the gradient is too small for any
  seed to solve it in 2000 steps; at 30 units are saturated, and none does.
"""

import functools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import base, experiment, functions, initializers, keys, launch
from initlab import mlp, networks, panels, probes, stats, training
from initlab.experiment import GEOMETRIC, SHARE, PerNetwork, knob

from .claims_init_scale import INIT_SCALE

SHAPES = ((11, 10), (11, 10), (11, 1))  # of Theta1 to Theta3, biases first
SOLVED = 0.1  # nats an example; a guess of one half costs ln 2


@experiment.config
class Config:
  """The lecture's network, 10-10-10-1, and its training."""

  epsilon: float = knob(
    0.1, 'weights and biases are uniform in +-epsilon', above=0, traced=True
  )
  activation: functions.Named = networks.activation_knob('tanh')
  learning_rate: float = knob(0.5, 'of gradient descent', above=0, traced=True)
  steps: int = knob(2000, 'steps to solve the task in', least=1, most=2**24)

  def draw(self, key):
    """The layers, weights and biases of each from one array Theta."""
    key = keys.stream(key, 'init')
    initializer = initializers.ng_epsilon(self.epsilon)
    thetas = [
      initializer(keys.at(key, layer), shape)
      for layer, shape in enumerate(SHAPES, 1)
    ]
    return tuple(base.Layer(theta[1:], theta[0]) for theta in thetas)


SMOKE = Config(steps=5)
SWEEP = {'epsilon': (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)}


class Result(NamedTuple):
  """Time to solve the task, and the state at initialization.

  steps_to_solve: until the training loss is below 0.1 nats; all steps if never.
  solved: 1 if it ever is, else 0.
  largest, mean, variance: of Theta1, `largest` in absolute value.
  gradient_norm: |dC/dTheta1| before the first step, without the biases.
  saturated: share of hidden units and examples, before the first step.
  """

  steps_to_solve: PerNetwork
  solved: Annotated[PerNetwork, SHARE]
  largest: PerNetwork
  mean: PerNetwork
  variance: PerNetwork
  gradient_norm: Annotated[PerNetwork, GEOMETRIC]
  saturated: PerNetwork


def load(config, data_dir):
  """64 fixed x in {-1, 1}^10; y is the exclusive or of the first two."""
  del config, data_dir
  key = keys.stream(keys.root(0), 'exclusive or of two in ten')
  x = jax.random.rademacher(key, (64, 10), jnp.float32)
  return base.Batch(x, (x[:, 0] != x[:, 1]).astype(jnp.int32))


def logistic(logits, label):
  """The loss of an example of two classes, of one output, in nats."""
  label = label.astype(logits.dtype)
  return optax.sigmoid_binary_cross_entropy(logits[0], label)


def before(config: Config, key, params, batch):
  """Theta1, its gradient and saturation."""
  del key
  activation = networks.activation(config)
  signals = mlp.signals(params, batch, activation, logistic)
  theta = jnp.concatenate([params[0].b, params[0].w.ravel()])
  return {
    'largest': jnp.max(jnp.abs(theta)),
    'mean': jnp.mean(theta),
    'variance': jnp.mean(theta**2),
    'gradient_norm': probes.gradient_norm(params, activation, signals)[0],
    'saturated': probes.saturated(params, activation, signals)[:-1].mean(),
    'steps_to_solve': jnp.float32(config.steps),
    'solved': jnp.float32(0),
  }


def watch(config, network, moved, batch, kept, step):
  """Keeps the number of the first step whose loss is below SOLVED."""
  del network, batch
  solved = moved.last_loss < SOLVED
  steps = jnp.where(solved, step.astype(jnp.float32), config.steps)
  steps = jnp.minimum(kept['steps_to_solve'], steps)
  return kept | {
    'steps_to_solve': steps,
    'solved': jnp.float32(steps < config.steps),
  }


TRAINING = training.of_networks(
  Result,
  lambda *_: {},
  objective=lambda config: mlp.objective(networks.activation(config), logistic),
  every=lambda config: config.steps,
  before=before,
  watch=watch,
)


def predict(config, data):
  """Mean and variance of U[-epsilon, epsilon)."""
  del data
  return {'mean': np.zeros(()), 'variance': np.array(config.epsilon**2 / 3)}


def verdict(outcome):
  """The share of seeds that solve the task, and their steps."""
  solved = outcome.measured['solved']
  share = stats.share(int(solved.sum()), len(solved))
  steps = stats.mean(outcome.measured['steps_to_solve'])
  most = outcome.config.steps
  return [f'solved by {share:%} of the seeds, in {steps} of {most} steps']


_SWEEP = functools.partial(panels.Sweep, knob='epsilon')
_STEPS = 'steps until solved, or all'
PANELS = (
  _SWEEP('steps_to_solve', 'Too small and too large', _STEPS, log=True),
  _SWEEP('solved', 'Seeds that solve the task in time', 'share of seeds'),
  _SWEEP('gradient_norm', 'The first gradient', '|dC/dTheta1|', log=True),
  _SWEEP('saturated', 'Saturated units before training', 'share of units'),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=INIT_SCALE, defaults={'lanes': '16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
