"""Kernels: their axes and fans, and random draws.

The building blocks of `initializers`: the meaning of axes, the validation of
arguments, and draws from a distribution of given scale.
"""

from collections.abc import Callable
import math
import operator
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base

# A number or a traced scalar.
Scalar = Any

_LARGEST = float(np.finfo(np.float32).max)

# Standard deviation of a standard normal cut at +-2, 0.8796: the square root of
# 1 - 4 phi(2) / (2 Phi(2) - 1).
TRUNCATED_STD = math.sqrt(
  1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
)


class Axes(TypedDict, total=False):
  """Which axes of a kernel are what; all may be negative.

  A kernel of rank 2 is `[n_in, n_out]` unless told otherwise. From rank 3 on,
  `in_axis` and `out_axis` must be given: the same shape may be a convolution, a
  stack or an attention projection, and a wrong guess is a wrong variance.

  in_axis: an axis, or a tuple of axes, summed over when the kernel is applied.
  out_axis: those that index the units of the layer.
  batch_axis: those that index separate kernels; they enter no fan.

  All other axes are the receptive field of a convolution and multiply both
  fans.
  """

  in_axis: base.Axes | None
  out_axis: base.Axes | None
  batch_axis: base.Axes


class Split(NamedTuple):
  """All axes of a kernel, non-negative, each in one group; see `Axes`."""

  batch: tuple[int, ...]
  field: tuple[int, ...]
  ins: tuple[int, ...]
  outs: tuple[int, ...]


def fans(shape: base.Shape, **axes: Unpack[Axes]) -> tuple[int, int]:
  """How many weights enter and leave one unit, (n_in, n_out).

  Args:
    shape: of the kernel, rank 2 or more.
    **axes: see `Axes`.

  Returns:
    The product of the receptive field with the in and with the out axes.

  Raises:
    UserError: the axes are ambiguous, out of range or overlapping.

  Examples:
    >>> fans((784, 256))
    (784, 256)
    >>> fans((3, 3, 64, 128), in_axis=-2, out_axis=-1)
    (576, 1152)
    >>> fans((512, 8, 64), in_axis=0, out_axis=(1, 2))
    (512, 512)
    >>> fans((12, 512, 256), in_axis=-2, out_axis=-1, batch_axis=0)
    (512, 256)
  """
  _, field, ins, outs = split_axes(tuple(shape), **axes)
  return _size(shape, field + ins), _size(shape, field + outs)


Draw = Callable[[base.Key, tuple[int, ...], Any], base.Array]

# distribution -> a draw, and the factor that gives it unit variance.
DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
  'uniform': (
    lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -1.0, 1.0),
    3**0.5,
  ),
  'normal': (jax.random.normal, 1.0),
  'truncated_normal': (
    lambda key, shape, dtype: jax.random.truncated_normal(
      key, -2.0, 2.0, shape, dtype
    ),
    1 / TRUNCATED_STD,
  ),
}


def initializer(draw: Draw) -> base.Initializer:
  """Checks the arguments, draws in at least float32 and casts last."""

  def initializer(
    key: base.Key, shape: base.Shape, dtype: Any = jnp.float32
  ) -> base.Array:
    shape = _checked_shape(shape)
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
      raise base.UserError(f'weights are drawn as real floats, not as {dtype}')
    if 0 in shape:
      return jnp.zeros(shape, dtype)
    wide = jnp.float64 if dtype == jnp.float64 else jnp.float32
    return draw(key, shape, wide).astype(dtype)

  return initializer


def random(
  distribution: str, std: Callable[[tuple[int, ...]], float], gain: Scalar
) -> base.Initializer:
  """Independent entries of the standard deviation `std(shape) * gain`."""
  draw, factor = base.lookup(DISTRIBUTIONS, 'distribution', distribution)

  def scaled(key: base.Key, shape: tuple[int, ...], dtype: Any) -> base.Array:
    return times(draw(key, shape, dtype), factor * std(shape), gain)

  return initializer(scaled)


def fan_scaled(
  distribution: str,
  std: Callable[[int, int], float],
  gain: Scalar,
  axes: Axes,
) -> base.Initializer:
  """`random` with the std a function of (n_in, n_out)."""
  _refuse_unknown(axes)
  return random(distribution, lambda shape: std(*fans(shape, **axes)), gain)


def matrix(draw: Draw, axes: Axes) -> base.Initializer:
  """Arranges `[*batch, n_in, n_out]` matrices by the kernel's axes."""
  _refuse_unknown(axes)

  def draw_kernel(
    key: base.Key, shape: tuple[int, ...], dtype: Any
  ) -> base.Array:
    order = split_axes(shape, **axes)
    rows, columns = _size(shape, order.field + order.ins), order.outs
    batch = tuple(shape[axis] for axis in order.batch)
    w = draw(key, (*batch, rows, _size(shape, columns)), dtype)
    flat = sum(order, ())
    w = w.reshape([shape[axis] for axis in flat])
    return w.transpose(np.argsort(flat))

  return initializer(draw_kernel)


def matrices(w: np.ndarray, **axes: Unpack[Axes]) -> np.ndarray:
  """Kernels as matrices: the inverse of `matrix`.

  Args:
    w: `[S, *shape]` kernels.
    **axes: of one kernel, see `Axes`.

  Returns:
    `[N, n_in, n_out]`, N being S times the size of the batch axes. Rows are the
    receptive field and the in axes, columns the out axes alone.

  Raises:
    UserError: the axes are ambiguous, out of range or overlapping.

  Examples:
    >>> matrices(np.zeros((8, 3, 3, 4, 20)), in_axis=-2, out_axis=-1).shape
    (8, 36, 20)
  """
  shape = w.shape[1:]
  order = split_axes(shape, **axes)
  rows = _size(shape, order.field + order.ins)
  flat = w.transpose(0, *(axis + 1 for axis in sum(order, ())))
  return flat.reshape(-1, rows, _size(shape, order.outs))


def times(draw: base.Array, constant: float, gain: Scalar = 1.0) -> base.Array:
  """draw * (constant * gain), the same bits eager, compiled, static or traced.

  The constant is computed in double precision; constant, gain, their product
  and the result are each rounded once to the type of the draw.

  Two liberties of a compiler would change the last bits of a compiled draw.
  It merges a constant factor with those inside the draw: the barrier forbids
  that. And it contracts the product with an addition that follows, such as that
  of a bias, into a fused multiply-add, which never rounds the product: limits
  that no finite number exceeds stand between the two.
  """
  scale = jnp.asarray(constant, draw.dtype) * jnp.asarray(gain, draw.dtype)
  draw, scale = jax.lax.optimization_barrier((draw, scale))
  largest = jnp.finfo(draw.dtype).max
  return jax.lax.clamp(-largest, draw * scale, largest)


def split_axes(
  shape: tuple[int, ...],
  in_axis: base.Axes | None = None,
  out_axis: base.Axes | None = None,
  batch_axis: base.Axes = (),
) -> Split:
  """Which axes of a kernel are what; `in_axis` is -2, `out_axis` -1 at rank 2.

  Raises:
    UserError: the axes are ambiguous, out of range or overlapping.
  """
  rank = len(at_least(2, shape))
  if rank > 2 and (in_axis is None or out_axis is None):
    raise base.UserError(
      f'a kernel of shape {shape} is ambiguous; say which axes are which: '
      'in_axis=-2, out_axis=-1 for a convolution (..., in, out); '
      'in_axis=0, out_axis=(1, 2) for attention (in, heads, head_dim); '
      'in_axis=-2, out_axis=-1, batch_axis=0 for a stack (layers, in, out)'
    )
  given = {
    'in_axis': -2 if in_axis is None else in_axis,
    'out_axis': -1 if out_axis is None else out_axis,
    'batch_axis': batch_axis,
  }
  owner: dict[int, str] = {}
  for name, axes in given.items():
    for axis in axes if isinstance(axes, tuple | list) else (axes,):
      if not -rank <= axis < rank:
        raise base.UserError(f'{name}={axes} is out of range for shape {shape}')
      if axis % rank in owner:
        raise base.UserError(
          f'{name}={axes} overlaps {owner[axis % rank]}, or itself, '
          f'in shape {shape}'
        )
      owner[axis % rank] = name
  field = tuple(axis for axis in range(rank) if axis not in owner)
  batch, ins, outs = (
    tuple(axis for axis in owner if owner[axis] == name)
    for name in ('batch_axis', 'in_axis', 'out_axis')
  )
  return Split(batch, field, ins, outs)


def _refuse_unknown(axes: Axes) -> None:
  for name in axes:
    if name not in Axes.__annotations__:
      raise TypeError(f'unexpected keyword argument {name!r}')


def _size(shape: base.Shape, axes: tuple[int, ...]) -> int:
  return math.prod(shape[axis] for axis in axes)


def number(value: Scalar, what: str, minimum: float = 0.0) -> Scalar:
  """A knob as a float that is finite in float32; tracers pass unchecked."""
  if isinstance(value, jax.core.Tracer):
    return value
  try:
    checked = float(value)
  except (TypeError, ValueError):
    raise base.UserError(f'{what} {value!r} is not a number') from None
  if not max(minimum, -_LARGEST) <= checked <= _LARGEST:
    bound = '' if minimum == -math.inf else f' and at least {minimum:g}'
    raise base.UserError(f'{what} must be finite{bound}, not {value}')
  return checked


def _checked_shape(shape: base.Shape) -> tuple[int, ...]:
  try:
    sizes = tuple(operator.index(size) for size in shape)
  except TypeError:
    raise base.UserError(
      f'shape {shape!r} is not a tuple of integers'
    ) from None
  if any(size < 0 for size in sizes):
    raise base.UserError(f'shape {sizes} has a negative size')
  return sizes


def at_least(rank: int, shape: base.Shape) -> base.Shape:
  """Checks that a shape has at least this rank."""
  if len(shape) < rank:
    raise base.UserError(
      f'shape {tuple(shape)} has rank {len(shape)}; this initializer needs a '
      f'kernel of rank {rank} or more (for a bias: zeros() or constant(value))'
    )
  return shape


def exactly(rank: int, shape: base.Shape) -> base.Shape:
  """Checks that a shape has this rank."""
  if len(shape) != rank:
    raise base.UserError(
      f'shape {tuple(shape)} has rank {len(shape)}; this initializer needs '
      f'rank {rank}'
    )
  return shape
