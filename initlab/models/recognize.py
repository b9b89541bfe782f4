"""Which function an activation of a program is, told by its values."""

from collections.abc import Callable, Sequence
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, base
from initlab.models import elementwise
from initlab.models.plan import Activation

# Where functions are compared, and their slopes looked at.
_GRID = np.concatenate([np.linspace(-8, 8, 1601), [-50.0, -20.0, 20.0, 50.0]])

# Of the largest value: rounding of float32 and of what stands for erf or tanh.
_AGREES = 1e-5

# Approximations that go by the name of what they approximate.
_ALSO = {'gelu (tanh)': functools.partial(jax.nn.gelu, approximate=True)}


class Function(NamedTuple):
  """What is known of an activation's function.

  name: see `places.Activation`.
  evaluate: `t -> f(t)` of arrays of any shape; None if f depends on params.
  steepest: sup |f'| on [-50, 50]; NaN if unknown.
  """

  name: str
  evaluate: base.Activation | None
  steepest: float


def recognize(found: Sequence[Activation]) -> dict[int, Function]:
  """The functions of activations, by number.

  Left out is what is no activation: affine functions, exp (of a softmax), and
  even ones of which only sums are used (the square of a variance or a loss).
  """
  known: dict[str, Function | None] = {}
  functions = {}
  for each in found:
    evaluate = _evaluator(each)
    if evaluate is None:
      if not all(_affine(_with_params(each, x)) for x in (0.7, -1.3)):
        functions[each.number] = Function(each.label, None, float('nan'))
      continue
    shown = f'{jax.make_jaxpr(evaluate)(jnp.zeros(1))} {each.reduced}'
    if shown not in known:
      known[shown] = _describe(evaluate, each.label, each.reduced)
    function = known[shown]
    if function is not None:
      functions[each.number] = function
  return functions


def _evaluator(each: Activation) -> base.Activation | None:
  scalars = {}
  for variable in each.scalars:
    if variable not in each.constants:
      return None
    scalars[variable] = each.constants[variable]
  apply = elementwise.function(each.operations, each.source, each.result)
  return lambda t: apply(t, scalars)


def _with_params(each: Activation, value: float) -> np.ndarray:
  """f on the grid if all params that it depends on have one value."""
  scalars = {
    variable: each.constants.get(variable, jnp.float32(value))
    for variable in each.scalars
  }
  apply = elementwise.function(each.operations, each.source, each.result)
  return np.asarray(apply(jnp.asarray(_GRID, jnp.float32), scalars))


def _describe(
  evaluate: base.Activation, label: str, reduced: bool
) -> Function | None:
  grid = jnp.asarray(_GRID, jnp.float32)
  values, slopes = (np.asarray(each) for each in _look(evaluate)(grid))
  if _affine(values) or _same(values, np.exp(_GRID)):
    return None
  inner = values[:1601]
  if reduced and _same(inner, inner[::-1]):
    return None
  table = _tabulated().items()
  name = next((name for name, each in table if _same(values, each)), label)
  return Function(name, evaluate, float(np.max(np.abs(slopes))))


def _look(evaluate: base.Activation) -> Callable[..., tuple[jax.Array, ...]]:
  return jax.jit(lambda t: jax.jvp(evaluate, (t,), (jnp.ones_like(t),)))


@functools.cache
def _tabulated() -> dict[str, np.ndarray]:
  """Name -> values on the grid, of all that is known."""
  known = activations.ACTIVATIONS | _ALSO
  evaluate = lambda x: {name: f(x) for name, f in known.items()}
  found = jax.jit(evaluate)(jnp.asarray(_GRID, jnp.float32))
  return {name: np.asarray(found[name]) for name in known}


def _same(values: np.ndarray, others: np.ndarray) -> bool:
  with np.errstate(invalid='ignore', over='ignore'):
    scale = np.maximum(np.abs(others), 1.0)
    return bool(np.all(np.abs(values - others) <= _AGREES * scale))


def _affine(values: np.ndarray) -> bool:
  x = _GRID
  with np.errstate(invalid='ignore', over='ignore'):
    slope = (values[1600] - values[0]) / (x[1600] - x[0])
    line = values[0] + slope * (x - x[0])
  return _same(values, line)


def averages(
  function: Function, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """E f(t) and E f(t)^2 of t ~ N(mean, variance), by quadrature.

  Args:
    function: of the activation.
    mean, variance: `[...]`.

  Returns:
    Two `[...]` arrays, NaN where f is not known.
  """
  if function.evaluate is None:
    nan = np.full(np.shape(mean), np.nan)
    return nan, nan
  nodes, weights = activations.gaussian_nodes(variance, mean[..., None])
  values = jax.jit(function.evaluate)(jnp.asarray(nodes, jnp.float32))
  values = np.asarray(values, float)
  return np.sum(weights * values, -1), np.sum(weights * values**2, -1)
