"""What is read off at a place of a running program: see `places.MEASURES`."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from initlab import activations
from initlab.models import moments
from initlab.models.moments import Moments
from initlab.models.plan import Activation, Residual, Signal, Site
from initlab.models.program import Operation
from initlab.models.values import Values


def of_site(
  site: Site, operation: Operation, known: Values, whole: bool
) -> dict[str, Any]:
  """Of a site's operands; of a weight that is a whole leaf, nothing."""
  x = operation.inputs[site.x]
  found: dict[str, Any] = {}
  if site.kind != 'lookup':
    found['input'] = known.size(x)
  windows = known.windows(site, x) if site.kind == 'convolution' else None
  if windows is not None:
    found['windows'] = windows
  if site.kind != 'product' and not whole:
    found['weight'] = moments.spread(known.still(operation.inputs[site.w]))
  return found


def of_signal(
  signal: Signal, operation: Operation, known: Values
) -> dict[str, Any]:
  """Of a site's output with its bias, which replaces that without."""
  (output,) = operation.outputs
  found: dict[str, Any] = {'forward': known.moments(output)}
  if signal.bias is not None:
    found['bias'] = known.size(operation.inputs[signal.bias])
  return found


def of_residual(
  residual: Residual,
  operation: Operation,
  known: Values,
  units: tuple[int, ...],
) -> dict[str, Any]:
  """Of a residual add's operands and its sum.

  Args:
    residual, operation: the add.
    known: arrays, those of the add included.
    units: dimensions that index units; () if that is unknown.
  """
  (output,) = operation.outputs
  skip, branch = (
    operation.inputs[each] for each in (residual.skip, residual.branch)
  )
  (product,), _ = known.measure((skip, branch, output), pairs=[(skip, branch)])
  sizes = {'skip': known.size(skip), 'branch': known.size(branch)}
  found = sizes | {
    'sum': known.size(output),
    'correlation': moments.cosine(product, *sizes.values()),
  }
  if len(residual.shape) == 3:
    found['token_cosine'] = moments.token_cosine(known.still(output))
  for name, each in (('skip', skip), ('branch', branch)) if units else ():
    found[f'{name}_offset'] = _offset(known.still(each), units)
  return found


def _offset(x: jax.Array, units: tuple[int, ...]) -> Moments:
  """The root mean square over units of the mean over all else."""
  rest = tuple(axis for axis in range(x.ndim) if axis not in units)
  return moments.size_of(jnp.mean(x.astype(jnp.float32), rest))


def of_activation(
  activation: Activation, known: Values, steepest: float
) -> dict[str, Any]:
  """Of an activation's input, its output and its slope, sup |f'| known."""
  source, result = activation.source, activation.result
  t = known.still(source)

  def function(t: jax.Array) -> jax.Array:
    own = {source: t}
    for operation in activation.operations:
      operands = [
        own[each] if each in own else known.still(each)
        for each in operation.inputs
      ]
      (own[operation.outputs[0]],) = operation.bind(operands)
    return own[result]

  _, slope = jax.jvp(function, (t,), (jnp.ones_like(t),))
  slope = jnp.abs(slope.astype(jnp.float32))
  units = activation.units or (t.ndim - 1,)
  rows = tuple(d for d in range(t.ndim) if d not in units)
  small = slope < activations.SATURATED_SLOPE * steepest
  both = source, result
  _, (square, saturated) = known.measure(
    both, both, others=[jnp.square(slope), small]
  )
  found = {
    'input': known.moments(source),
    'output': known.moments(result),
    'slope_square': square,
    'dead': jnp.mean(jnp.all(slope == 0, rows).astype(jnp.float32)),
  }
  if not math.isnan(steepest):
    found['saturated'] = saturated
  return found
