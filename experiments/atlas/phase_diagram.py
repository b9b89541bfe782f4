"""Order and chaos: where signals of wide networks end, theory and simulation.

Question:
  Does the theory of infinitely wide networks say where the variance of a signal
  and the correlation of two end in a network of a finite width, and where the
  line between order and chaos runs?
Paper:
  Poole et al., Exponential expressivity in deep neural networks through
  transient chaos, 2016, figures 1 and 2; Schoenholz et al., Deep information
  propagation, 2017, figures 1 and 2.
Run:
  python -m experiments.atlas.phase_diagram --weight_variance=1,1.761,4
Takes:
  Two minutes on two CPU cores (12 settings of 128 seeds).
Expect:
  Simulation within 3% of theory. With biases of variance 0.05, chi_1 crosses 1
  at a weight variance of 1.760955; below it two examples become alike, with a
  depth scale of 3.63 layers at 1; above it they stay apart.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, base, experiment, functions, keys
from initlab import launch, meanfield, networks, panels, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, knob

from . import claims_phases


@experiment.config
class Config:
  """One setting of wide layers, and the examples they are shown."""

  activation: functions.Named = networks.activation_knob('tanh')
  weight_variance: float = knob(
    1.0, 'sw2: n_in times the variance of a weight', above=0, traced=True
  )
  bias_variance: float = knob(
    0.05, 'sb2: the variance of a bias', least=0, traced=True
  )
  width: int = knob(500, 'the units of a layer', least=2)
  depth: int = knob(30, 'how many layers', least=4)
  pairs: int = knob(64, 'pairs of inputs', least=1)
  start_correlation: float = knob(
    0.5, 'of the inputs of a pair, which have variance 1', least=-1, most=0.99
  )


SMOKE = Config(width=8, depth=4, pairs=2)
SWEEP = {
  'weight_variance': (1.0, 1.5, 1.761, 2.505, 3.0, 4.0),
  'bias_variance': (0.05, 0.3),
}


class Result(NamedTuple):
  """Of the pre-activations s, averaged over units and pairs.

  variance: the mean of s^2.
  correlation: of the two examples of a pair, 1 - |s - s'|^2 / (2 q n).
  last_variance, last_correlation: of the last layer.
  chi_1: sw2 times the mean of f'(s)^2 in the last layer, the factor of a
    gradient's variance.
  decay: -d ln(1 - c) / dl over the upper half of the layers, 1 / xi_c in the
    ordered phase.
  """

  variance: Annotated[PerLayer, GEOMETRIC]
  correlation: PerLayer
  last_variance: Annotated[PerNetwork, GEOMETRIC]
  last_correlation: PerNetwork
  chi_1: Annotated[PerNetwork, GEOMETRIC]
  decay: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """Sends pairs of inputs through one network."""
  del data
  f = activations.resolve(config.activation)
  n, pairs = config.width, config.pairs
  weight = jnp.sqrt(config.weight_variance / n)
  bias = jnp.sqrt(config.bias_variance)

  def layer(z, index):
    """`[2, pairs, n]` up by a layer."""
    drawn = keys.at(keys.stream(key, 'init'), index)
    w = weight * jax.random.normal(keys.stream(drawn, 'w'), (n, n))
    b = bias * jax.random.normal(keys.stream(drawn, 'b'), (n,))
    s = z @ w + jnp.broadcast_to(b, z.shape)
    square = jnp.mean(s**2)
    apart = jnp.mean((s[0] - s[1]) ** 2) / (2 * square)
    return f(s), (square, apart, jnp.mean(activations.derivative(f)(s) ** 2))

  c = config.start_correlation
  one, other = jax.random.normal(keys.stream(key, 'data'), (2, pairs, n))
  x = jnp.stack([one, c * one + (1 - c**2) ** 0.5 * other])
  indices = jnp.arange(1, config.depth + 1, dtype=jnp.uint32)
  _, (square, apart, slope) = jax.lax.scan(layer, x, indices)
  half = config.depth // 2
  return Result(
    variance=square,
    correlation=1 - apart,
    last_variance=square[-1],
    last_correlation=1 - apart[-1],
    chi_1=config.weight_variance * slope[-1],
    decay=jnp.log(apart[half - 1] / apart[-1]) / (config.depth - half),
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Layer after layer by the maps of an infinite width, and chi_1 at q*."""
  del data
  setting = config.weight_variance, config.bias_variance
  q = sum(setting)
  c = (config.weight_variance * config.start_correlation + setting[1]) / q
  path = meanfield.propagate(
    config.activation, q, c, config.depth - 1, *setting
  )
  apart = 1 - path.c
  half = config.depth // 2
  with np.errstate(divide='ignore', invalid='ignore'):
    decay = np.log(apart[half - 1] / apart[-1]) / (config.depth - half)
  return {
    'variance': path.q,
    'correlation': path.c,
    'last_variance': path.q[-1],
    'last_correlation': path.c[-1],
    'chi_1': claims_phases.end(config).chi_1,
    'decay': decay,
  }


def verdict(outcome):
  """The phase, and where the critical line is."""
  config, point = outcome.config, claims_phases.end(outcome.config)
  line = meanfield.critical_line(config.activation, config.bias_variance)
  chi_1 = stats.average(outcome, 'chi_1')
  return [
    f'chi_1 = {chi_1}, theory {float(point.chi_1):.4g}; critical with these '
    f'biases is a weight variance of {line.weight_variance:.6f}'
  ]


_SWEPT = {'knob': 'weight_variance'}
PANELS = (
  panels.Sweep(
    'chi_1', 'Order below 1, chaos above', 'chi_1', log=True, **_SWEPT
  ),
  panels.Sweep('last_variance', 'Fixed point of the variance', 'q*', **_SWEPT),
  panels.Sweep(
    'last_correlation', 'Correlation after the last layer', 'c', **_SWEPT
  ),
  panels.Depth('correlation', 'Correlation of two examples', 'c', over='layer'),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_phases.PHASES, defaults={'seeds': '0:128'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
