"""The effect of weights of a fixed size on units with many inputs.

Question:
  Uniform weights in +-0.1 and normal ones of standard deviation 0.1 were common
  before 2010. In which part of the nonlinearity are the units, by the number of
  their inputs?
Paper:
  365 Data Science, Deep Learning with TensorFlow 2, "Initialization" (both
  kinds are problematic; the sigmoid is linear near 0 and flat at the extremes).
Run:
  python -m experiments.lectures.saturation
Takes:
  20 seconds on two CPU cores (32 seeds, 2 distributions, 6 numbers of inputs).
Expect:
  The variance of the pre-activations is n/300 and n/100. Below 50 inputs it
  shrinks in every layer, and most units are where the sigmoid is a straight
  line; above 1000 tanh has lost over half of its slope, and the sigmoid next.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, experiment, initializers, keys, launch
from initlab import panels, stats
from initlab.experiment import PerNetwork, knob

from .claims_saturation import SATURATION
from .zones import FLAT, LINEAR

DRAWS = {'uniform': initializers.uniform, 'normal': initializers.normal}


@experiment.config
class Config:
  """One layer of units, and examples of which every input is -1 or 1."""

  init: str = knob('uniform', 'the distribution of the weights', DRAWS)
  scale: float = knob(0.1, 'half the range, or standard deviation', above=0)
  inputs: int = knob(100, 'inputs per unit', least=1, most=2**20)
  bias: float = knob(0.0, 'the bias of every unit')
  units: int = knob(100, 'the number of units', least=1, most=2**20)
  examples: int = knob(100, 'the number of examples', least=1, most=2**20)

  def draw(self, key):
    """Examples `[B, inputs]` and weights `[inputs, units]`."""
    shape = self.examples, self.inputs
    x = jax.random.rademacher(keys.stream(key, 'data'), shape, jnp.float32)
    initializer = DRAWS[self.init](self.scale)
    return x, initializer(keys.stream(key, 'init'), (self.inputs, self.units))


SMOKE = Config(inputs=3, units=4, examples=5)
SWEEP = {'init': DRAWS, 'inputs': (10, 50, 100, 300, 1000, 3000)}


class Result(NamedTuple):
  """Of the pre-activations s of all units and examples.

  variance: the mean square of s less the bias.
  linear: share of |s| <= 0.8.
  flat: share of |s| > 4.
  sigmoid_slope, tanh_slope: mean slopes at s, of at most 1/4 and 1.
  linear_error: the largest of |sigmoid(s) - (1/2 + s/4)| where |s| <= 0.8.
  flat_slope: the largest slope of the sigmoid where |s| > 4.
  """

  variance: PerNetwork
  linear: PerNetwork
  flat: PerNetwork
  sigmoid_slope: PerNetwork
  tanh_slope: PerNetwork
  linear_error: PerNetwork
  flat_slope: PerNetwork


def run(config: Config, key, data):
  """Draws one layer, and examples of its own."""
  del data
  x, w = config.draw(key)
  sum_ = x @ w
  s = sum_ + config.bias
  linear, flat = jnp.abs(s) <= LINEAR, jnp.abs(s) > FLAT
  share = lambda zone: jnp.mean(zone.astype(s.dtype))
  largest = lambda values, zone: jnp.max(jnp.where(zone, values, 0.0))
  slope = activations.derivative(jax.nn.sigmoid)(s)
  error = jnp.abs(jax.nn.sigmoid(s) - (0.5 + 0.25 * s))
  return Result(
    variance=jnp.mean(sum_**2),
    linear=share(linear),
    flat=share(flat),
    sigmoid_slope=jnp.mean(slope),
    tanh_slope=jnp.mean(activations.derivative(jnp.tanh)(s)),
    linear_error=largest(error, linear),
    flat_slope=largest(slope, flat),
  )


def predict(config: Config, data):
  """Of s ~ N(bias, n Var[w]), which is exact for normal weights."""
  from scipy import special

  del data
  divisor = 3 if config.init == 'uniform' else 1
  variance = np.array(config.inputs * config.scale**2 / divisor)
  below = lambda s: special.ndtr((s - config.bias) / np.sqrt(variance))
  nodes, weights = activations.gaussian_nodes(variance, config.bias)
  slope = lambda f: np.array(weights @ activations.evaluate(f, nodes)[1])
  return {
    'variance': variance,
    'linear': np.array(below(LINEAR) - below(-LINEAR)),
    'flat': np.array(below(-FLAT) + 1 - below(FLAT)),
    'sigmoid_slope': slope(jax.nn.sigmoid),
    'tanh_slope': slope(jnp.tanh),
  }


def verdict(outcome):
  """The shares of units in each zone."""
  mean = functools.partial(stats.average, outcome)
  return [
    f'variance of the pre-activations {mean("variance")}, theory '
    f'{outcome.predicted["variance"]:.4g}',
    f'{mean("linear"):%} of the units are where the sigmoid is a straight '
    f'line, {mean("flat"):%} where it is flat; its mean slope is '
    f'{mean("sigmoid_slope")}, that of tanh {mean("tanh_slope")}',
  ]


_SWEEP = functools.partial(panels.Sweep, knob='inputs')
PANELS = (
  _SWEEP('variance', 'Linear combinations', 'variance', log=True),
  _SWEEP('linear', 'Units where the sigmoid is linear', 'share of |s| <= 0.8'),
  _SWEEP('flat', 'Units where the sigmoid is flat', 'share of |s| > 4'),
  _SWEEP('sigmoid_slope', 'Slope of the sigmoid (at most 0.25)', 'mean slope'),
  _SWEEP('tanh_slope', 'Slope of tanh (at most 1)', 'mean slope'),
)
EXPERIMENT = experiment.of_module(__name__, claims=SATURATION)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
