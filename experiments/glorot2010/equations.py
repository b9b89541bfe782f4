"""Equations 2 to 16 of Glorot & Bengio: predictions beside measurements.

Question:
  Do variances multiply from layer to layer as the equations say, in the linear
  regime of a network and outside of it?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: section 4.2, equations 2 to 16.
Run:
  python -m experiments.glorot2010.equations --init=standard,glorot
Takes:
  Under 40 seconds on two CPU cores (64 seeds, eight settings).
Expect:
  For tanh at small inputs every prediction is accurate to one or two percent,
  except equations 6, 7 and 13 as printed. For the sigmoid all are wrong, for
  gradients by a factor of 16 per layer, with any weights.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, base, experiment, functions, keys, launch
from initlab import layerwise, mlp, networks, panels, schemes, stats, theory
from initlab.experiment import PerLayer, knob

from . import claims_equations, claims_factors, formulas

# Widths over their mean, in turn.
_SHAPES = {'equal': (1.0,), 'unequal': (0.75, 1.5, 0.5, 1.0, 1.25)}


@experiment.config
class Config:
  """A network, and its normal inputs and output gradients."""

  init: functions.Named = networks.init_knob('glorot')
  activation: functions.Named = networks.activation_knob('tanh')
  shape: str = knob('equal', 'whether all widths are the same', _SHAPES)
  width: int = knob(200, 'the mean of the widths', least=2)
  depth: int = knob(5, 'the number of weight matrices', least=2)
  scale: float = knob(0.01, 'the standard deviation of the inputs', above=0)
  examples: int = knob(100, 'the number of inputs', least=1)

  @property
  def widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`."""
    shares = np.resize(_SHAPES[self.shape], self.depth + 1)
    return tuple(round(self.width * share) for share in shares)

  def draw(self, key: base.Key) -> base.Params:
    """The parameters at initialization, biases zero."""
    initializer = schemes.resolve(self.init).make()
    return mlp.init(keys.stream(key, 'init'), self.widths, initializer)


SMOKE = Config(shape='unequal', width=8, depth=3, examples=4)
SWEEP = {
  'init': ('standard', 'glorot'),
  'activation': ('tanh', 'sigmoid'),
  'shape': ('equal', 'unequal'),
}


class Result(NamedTuple):
  """Mean squares over units and examples, layer by layer.

  activation_variance: of z_l.
  gradient_variance: of dC/ds_l.
  weight_gradient_variance: of dC/dw_l, C the cost of one example.
  slope_square: of f'(s_l).
  forward_factor, backward_factor: of w_l, times n_in and times n_out.
  chain_error: |dC/ds_l by eq. 2 - by autodiff| / |the latter|, norms of all.
  product_error: the same of dC/dw_l by eq. 3.
  """

  activation_variance: PerLayer
  gradient_variance: PerLayer
  weight_gradient_variance: PerLayer
  slope_square: PerLayer
  forward_factor: PerLayer
  backward_factor: PerLayer
  chain_error: PerLayer
  product_error: PerLayer


def run(config: Config, key: base.Key, data: None) -> Result:
  """Sends x ~ N(0, scale^2) up and dC/ds^d ~ N(0, 1) down one network.

  The cost is C = u . s^d with a random u for each example: the gradient at the
  top is independent of the weights, as the equations assume.
  """
  del data
  f, params = networks.activation(config), config.draw(key)
  key = keys.stream(key, 'data')
  normal = lambda name, width: jax.random.normal(
    keys.stream(key, name), (config.examples, width)
  )
  x = config.scale * normal('x', config.widths[0])
  u = normal('u', config.widths[-1])
  seen = mlp.signals(params, base.Batch(x, u), f, lambda s, u: jnp.sum(s * u))
  exact = jax.grad(lambda params: jnp.sum(mlp.apply(params, x, f) * u))(params)
  weights = [layer.w for layer in params]
  below, gradient = [x, *seen.post[:-1]], seen.gradient
  slopes = list(map(activations.derivative(f), seen.pre[:-1]))
  chained = map(formulas.backpropagated, weights[1:], slopes, gradient[1:])
  products = map(formulas.weight_gradient, below, gradient)
  variance = jnp.stack([jnp.mean(w**2) for w in weights])
  widths = jnp.asarray(config.widths, variance.dtype)
  return Result(
    activation_variance=_squares(seen.post),
    gradient_variance=_squares(gradient),
    weight_gradient_variance=jnp.stack([*map(_product, below, gradient)]),
    slope_square=_squares([*slopes, jnp.ones_like(u)]),
    forward_factor=widths[:-1] * variance,
    backward_factor=widths[1:] * variance,
    chain_error=_errors([*chained, u], gradient),
    product_error=_errors(products, [layer.w for layer in exact]),
  )


def _squares(arrays):
  return jnp.stack(layerwise.each(lambda x: jnp.mean(x**2), arrays))


def _product(z, gradient):
  return jnp.mean(jnp.mean(z**2, axis=1) * jnp.mean(gradient**2, axis=1))


def _errors(found, exact):
  norm, pairs = jnp.linalg.norm, zip(found, exact, strict=True)
  return jnp.stack([norm(a - b) / norm(b) for a, b in pairs])


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Equations 4 to 7 and the factors of 8 and 9, corrected.

  Empty unless the weights are random and independent: the equations are
  averages over them.
  """
  del data
  laws = theory.layers(schemes.resolve(config.init), config.widths)
  if any(law.weights.family in ('fixed', 'unknown') for law in laws):
    return {}
  forms = config.widths, [law.weights.variance for law in laws]
  x = config.scale**2
  weights = formulas.weight_gradient_variance(*forms, x, 1.0)
  return {
    'activation_variance': formulas.activation_variance(*forms, x),
    'gradient_variance': formulas.gradient_variance(*forms, 1.0),
    'weight_gradient_variance': weights,
    'slope_square': np.ones(len(laws)),
    'forward_factor': formulas.forward_factors(*forms),
    'backward_factor': formulas.backward_factors(*forms),
  }


def verdict(outcome):
  """How linear the network is, and the predictions at both ends."""
  slope = stats.mean(outcome.measured['slope_square'][:, :-1].mean(1))
  lines = [f"mean square of the slopes f'(s): {slope}, eq. 4: 1"]
  if not outcome.predicted:
    return [*lines, 'the weights are fixed, so the equations do not apply']
  for words, field, end in (
    ('up, at the output', 'activation_variance', -1),
    ('down, at the first layer', 'gradient_variance', 0),
  ):
    ratio = outcome.measured[field][:, end] / outcome.predicted[field][end]
    lines.append(f'{words}: {stats.mean(ratio)} of the predicted variance')
  return lines


PANELS = (
  panels.Depth(
    'activation_variance', 'Going up: equation 5', 'mean of z^2', log=True
  ),
  panels.Depth(
    'gradient_variance',
    'Coming down: equation 6, corrected',
    'mean of (dC/ds)^2',
    log=True,
  ),
  panels.Depth(
    'weight_gradient_variance',
    'Weight gradients: equation 7, corrected',
    'mean of (dC/dw)^2',
    log=True,
  ),
  panels.Depth('slope_square', 'Slopes: equation 4', "mean of f'(s)^2"),
)
EXPERIMENT = experiment.of_module(
  __name__,
  claims=claims_equations.EQUATIONS + claims_factors.FACTORS,
  defaults={'seeds': '0:64'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
