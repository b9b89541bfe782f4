"""Equations 2 to 16 of Glorot & Bengio, each beside what it predicts.

Question:
  Do variances multiply from layer to layer as the equations say, as long as the
  network is in its linear regime, and how far off are they where it is not?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: section 4.2, equations 2 to 16.
Run:
  python -m experiments.glorot2010.equations --init=standard,glorot
Takes:
  Under 40 seconds on two CPU cores (64 seeds, eight settings), most of it to
  compile.
Expect:
  For tanh at small inputs every prediction is within a percent or two of what
  is measured, and equations 6, 7 and 13 as they are printed are not. For the
  sigmoid they are all wrong, by 16 a layer going down, whatever the weights.
"""

from collections.abc import Sequence
import dataclasses
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  functions,
  keys,
  launch,
  layerwise,
  mlp,
  networks,
  schemes,
  stats,
  theory,
)
from initlab.experiment import Outcome, Panel, PerLayer, knob, of_module

from . import claims_equations, formulas

# Widths over their mean, in turn.
_SHAPES = {'equal': (1.0,), 'unequal': (0.75, 1.5, 0.5, 1.0, 1.25)}


@dataclasses.dataclass(frozen=True)
class Config:
  """A network, and normal inputs and gradients to send through it."""

  init: functions.Named = networks.init_knob('glorot')
  activation: functions.Named = networks.activation_knob('tanh')
  shape: str = knob(
    'equal', 'whether all widths are equal, the input and output too', _SHAPES
  )
  width: int = knob(200, 'the mean of the widths, at least 2')
  depth: int = knob(5, 'how many matrices of weights there are')
  scale: float = knob(
    0.01, 'the standard deviation of the inputs; the equations want it small'
  )
  examples: int = knob(100, 'how many inputs the network is shown')

  def __post_init__(self):
    for name, least in (('width', 2), ('depth', 2), ('examples', 1)):
      if getattr(self, name) < least:
        raise base.UserError(
          f'--{name}={getattr(self, name)}: at least {least}'
        )
    if not 0 < self.scale < np.inf:
      raise base.UserError(f'--scale={self.scale}: above 0')

  @property
  def widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`."""
    shares = itertools.cycle(_SHAPES[self.shape])
    shares = itertools.islice(shares, self.depth + 1)
    return tuple(round(self.width * share) for share in shares)


SMOKE = Config(shape='unequal', width=8, depth=3, examples=4)


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


def load(config: Config, data_dir: str) -> None:
  """Nothing: every seed draws its own signals."""
  del config, data_dir


def run(config: Config, key: base.Key, data: None) -> Result:
  """Sends x ~ N(0, scale^2) up and dC/ds^d ~ N(0, 1) down one network.

  The cost is C = u . s^d with a random u an example: the gradient at the top
  owes nothing to the weights, as the equations assume.
  """
  del data
  f = activations.resolve(config.activation)
  initializer = schemes.resolve(config.init).make()
  params = mlp.init(keys.stream(key, 'init'), config.widths, initializer)
  batch = _signals(config, keys.stream(key, 'data'))
  cost = lambda s, u: jnp.sum(s * u)
  seen = mlp.signals(params, batch, f, cost)

  def total(params: base.Params) -> base.Array:
    return jnp.sum(mlp.apply(params, batch.x, f) * batch.y)

  slope = activations.derivative(f)
  slopes = [slope(s) for s in seen.pre[:-1]] + [jnp.ones_like(seen.pre[-1])]
  below = [seen.x, *seen.post[:-1]]
  chained = [
    formulas.backpropagated(layer.w, slope, gradient)
    for layer, slope, gradient in zip(
      params[1:], slopes[:-1], seen.gradient[1:], strict=True
    )
  ]
  products = map(formulas.weight_gradient, below, seen.gradient)
  weights = [layer.w for layer in params]
  exact = [layer.w for layer in jax.grad(total)(params)]
  variance = jnp.stack([jnp.mean(w**2) for w in weights])
  n_in, n_out = (
    jnp.asarray(each, variance.dtype)
    for each in (config.widths[:-1], config.widths[1:])
  )
  return Result(
    activation_variance=_squares(seen.post),
    gradient_variance=_squares(seen.gradient),
    weight_gradient_variance=jnp.stack(
      list(map(_product_square, below, seen.gradient))
    ),
    slope_square=_squares(slopes),
    forward_factor=n_in * variance,
    backward_factor=n_out * variance,
    chain_error=_errors([*chained, batch.y], seen.gradient),
    product_error=_errors(list(products), exact),
  )


def _signals(config: Config, key: base.Key) -> base.Batch:
  """x and, in the place of labels, u."""
  shapes = {'x': config.widths[0], 'u': config.widths[-1]}
  x, u = (
    jax.random.normal(keys.stream(key, name), (config.examples, width))
    for name, width in shapes.items()
  )
  return base.Batch(config.scale * x, u)


def _squares(arrays: Sequence[base.Array]) -> base.Array:
  return jnp.stack(layerwise.each(lambda x: jnp.mean(x**2), arrays))


def _product_square(z: base.Array, gradient: base.Array) -> base.Array:
  return jnp.mean(jnp.mean(z**2, axis=1) * jnp.mean(gradient**2, axis=1))


def _errors(
  found: Sequence[base.Array], exact: Sequence[base.Array]
) -> base.Array:
  norm = jnp.linalg.norm
  pairs = zip(found, exact, strict=True)
  return jnp.stack([norm(a - b) / norm(b) for a, b in pairs])


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Equations 4 to 7 and the factors of 8 and 9, corrected.

  Nothing where the weights are not known to be random and independent: the
  equations are averages over them.
  """
  del data
  laws = theory.layers(schemes.resolve(config.init), config.widths)
  if any(law.weights.family in ('fixed', 'unknown') for law in laws):
    return {}
  variances = [law.weights.variance for law in laws]
  forms = config.widths, variances
  x = config.scale**2
  return {
    'activation_variance': formulas.activation_variance(*forms, x),
    'gradient_variance': formulas.gradient_variance(*forms, 1.0),
    'weight_gradient_variance': formulas.weight_gradient_variance(
      *forms, x, 1.0
    ),
    'slope_square': np.ones(len(laws)),
    'forward_factor': formulas.forward_factors(*forms),
    'backward_factor': formulas.backward_factors(*forms),
  }


def parameters(config: Config) -> int:
  """How many weights a network has."""
  return sum(a * b for a, b in itertools.pairwise(config.widths))


def verdict(outcome: Outcome) -> list[str]:
  """In the regime or not, and what that does from end to end."""
  slope = stats.mean(outcome.measured['slope_square'][:, :-1].mean(1))
  lines = [f"mean square of the slopes f'(s): {claims.told(slope)}, eq. 4: 1"]
  if not outcome.predicted:
    return [*lines, 'the weights are fixed: there is nothing to average over']
  for word, field, end in (
    ('up, at the output', 'activation_variance', -1),
    ('down, at the first layer', 'gradient_variance', 0),
  ):
    ratio = outcome.measured[field][:, end] / outcome.predicted[field][end]
    lines.append(f'{word}: {claims.told(stats.mean(ratio))} of the prediction')
  return lines


PANELS = (
  Panel('activation_variance', 'Going up: equation 5', 'mean of z^2', log=True),
  Panel(
    'gradient_variance',
    'Coming down: equation 6, corrected',
    'mean of (dC/ds)^2',
    log=True,
  ),
  Panel(
    'weight_gradient_variance',
    'Weight gradients: equation 7, corrected',
    'mean of (dC/dw)^2',
    log=True,
  ),
  Panel('slope_square', 'Slopes: equation 4', "mean of f'(s)^2"),
)

EXPERIMENT = of_module(
  __name__,
  parameters=parameters,
  claims=claims_equations.EQUATIONS,
  defaults={
    'init': 'standard,glorot',
    'activation': 'tanh,sigmoid',
    'shape': 'equal,unequal',
    'seeds': '0:64',
  },
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
