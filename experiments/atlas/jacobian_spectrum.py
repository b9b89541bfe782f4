"""Singular values of the Jacobian of a whole network, depth by depth.

Question:
  On the critical line gradients keep their mean square. Do all directions keep
  their length, or do a few carry it all?
Paper:
  Pennington, Schoenholz & Ganguli, Resurrecting the sigmoid in deep learning
  through dynamical isometry, 2017, figures 1 and 2; Saxe, McClelland & Ganguli,
  Exact solutions to the nonlinear dynamics of learning in deep linear neural
  networks, 2014, figure 6B.
Run:
  python -m experiments.atlas.jacobian_spectrum --activation=tanh --q=0.05
Takes:
  A minute on two CPU cores (6 settings of 8 seeds).
Expect:
  The squares, of mean 1, have the variance L of linear and 2 L of ReLU networks
  with normal weights, and L of ReLU ones with orthogonal weights; only
  sigmoidal units with orthogonal weights and a small q keep all singular values
  near 1.
"""

import functools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, base, experiment, functions
from initlab import initializers, keys, launch, meanfield, networks, panels
from initlab import spectra, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerLayerSample, PerNetwork
from initlab.experiment import knob

from . import claims_spectra

_LEAST = 1e-2  # singular values below this are not told apart


@experiment.config
class Config:
  """Square layers on the critical line, and where on it."""

  activation: functions.Named = networks.activation_knob('tanh')
  weights: str = knob(
    'orthogonal', 'how they are drawn', ('orthogonal', 'normal')
  )
  q: float = knob(0.05, 'the variance of the pre-activations', above=0)
  width: int = knob(400, 'the units of a layer', least=2)
  depth: int = knob(8, 'how many layers', least=2)

  def point(self) -> meanfield.Critical:
    """Where chi_1 = 1 and q is the fixed point."""
    with experiment.blaming(self, 'activation', 'q'):
      return meanfield.critical_point(self.activation, self.q)


SMOKE = Config(width=6, depth=2)
SWEEP = {
  'activation': ('identity', 'relu', 'tanh'),
  'weights': ('orthogonal', 'normal'),
}


class Result(NamedTuple):
  """Of J_l, the Jacobian of the first l layers: its n singular values s.

  singular_values: in falling order.
  variance: of s^2 over the square of their mean.
  largest: the largest s.
  isolated: the share of s below 0.01 times their rms: directions that are lost.
  last_largest: that of all layers.
  distance: of all layers, between the share of s above a value and the
    theory's, at its largest over the values from 0.01 on (Kolmogorov). Where
    theory has all s at 1, the largest |s - 1|.
  """

  singular_values: PerLayerSample
  variance: Annotated[PerLayer, GEOMETRIC]
  largest: Annotated[PerLayer, GEOMETRIC]
  isolated: PerLayer
  last_largest: Annotated[PerNetwork, GEOMETRIC]
  distance: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """Draws one network and the Jacobian at one input of variance q."""
  del data
  f, n = activations.resolve(config.activation), config.width
  point = config.point()
  if config.weights == 'orthogonal':
    draw = initializers.orthogonal(point.gain)
  else:
    draw = initializers.lecun_normal(point.gain)

  def layer(carry, index):
    """The signal and the Jacobian `[n, n]`, of outputs by inputs."""
    z, jacobian = carry
    drawn = keys.at(keys.stream(key, 'init'), index)
    w = draw(keys.stream(drawn, 'w'), (n, n), z.dtype)
    b = jax.random.normal(keys.stream(drawn, 'b'), (n,), z.dtype)
    s = z @ w + point.bias_variance**0.5 * b
    jacobian = activations.derivative(f)(s)[:, None] * (w.T @ jacobian)
    return (f(s), jacobian), jnp.linalg.svd(jacobian, compute_uv=False)

  x = jax.random.normal(keys.stream(key, 'data'), (n,))
  # Of the mean square that makes q the variance of the first layer, too.
  square = (config.q - point.bias_variance) / point.weight_variance
  x *= jnp.sqrt(square / jnp.mean(x**2))
  indices = jnp.arange(1, config.depth + 1, dtype=jnp.uint32)
  _, found = jax.lax.scan(layer, (x, jnp.eye(n)), indices)
  mean = jnp.mean(found**2, axis=1)
  return Result(
    singular_values=found,
    variance=jnp.var(found**2, axis=1) / mean**2,
    largest=found[:, 0],
    isolated=jnp.mean(found < _LEAST * jnp.sqrt(mean)[:, None], axis=1),
    last_largest=found[-1, 0],
    distance=_distance(config, found[-1]),
  )


def _distance(config: Config, found: base.Array) -> base.Array:
  """How far the share of singular values above s is from theory, over all s."""
  if _isometric(config):
    return jnp.max(jnp.abs(found - 1))
  law = config.activation, config.q, config.depth
  largest = spectra.largest(*law, config.weights)
  s = np.geomspace(_LEAST, largest, 400)
  density = spectra.density(*law, s, config.weights)
  pieces = (density[1:] + density[:-1]) / 2 * np.diff(s)
  above = np.append(np.cumsum(pieces[::-1])[::-1], 0.0)
  share = jnp.mean(found[:, None] > s[None], axis=0)
  return jnp.max(jnp.abs(share - above))


def _isometric(config: Config) -> bool:
  """Whether theory has all singular values at 1, without a density."""
  return (config.activation, config.weights) == ('identity', 'orthogonal')


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Variance and edge of the density, by free probability."""
  del data
  law = config.activation, config.q
  layers = range(1, config.depth + 1)
  moments = [spectra.moments(*law, depth, config.weights) for depth in layers]
  if _isometric(config):
    largest = np.ones(config.depth)
  else:
    edge = functools.partial(spectra.largest, *law, weights=config.weights)
    largest = np.array([edge(depth) for depth in layers])
  return {
    'variance': np.array([each.variance / each.mean**2 for each in moments]),
    'largest': largest,
    'last_largest': largest[-1],
  }


def verdict(outcome):
  """The spread and the edge of the singular values of the whole network."""
  variance = stats.geometric_mean(outcome.measured['variance'][:, -1])
  theory = outcome.predicted['variance'][-1]
  largest = stats.average(outcome, 'last_largest')
  return [
    f'squared singular values of mean 1 have variance {variance}, theory '
    f'{theory:.3g}; the largest is {largest}'
  ]


PANELS = (
  panels.Depth('variance', 'Spread', 'variance of s^2', log=True, over='layer'),
  panels.Depth('largest', 'Largest', 'largest s', log=True, over='layer'),
  panels.Depth('isolated', 'Lost directions', 'share below 0.01', over='layer'),
  panels.Histogram(
    'singular_values', 'Singular values after l layers', 's', log=True
  ),
)
EXPERIMENT = experiment.of_module(
  __name__,
  claims=(claims_spectra.products, *claims_spectra.JACOBIANS),
  defaults={'seeds': '0:8'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
