"""Moments of arrays of any size, of what goes up and of what comes down.

Each is one pass over its array, a reduction to several sums at once, which
compiles and runs faster than as many reductions, and is traced once for all
arrays of a shape. What remains to be done with single numbers is done in double
precision, when the program has run.
"""

from collections.abc import Sequence
import functools
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

# How many entries of a leaf, evenly spaced, show its distribution.
_SAMPLE = 256

# How many numbers are added in one go: float32 rounds their sum by some 2^-20.
_STEP = 2**12

# Of float32 numbers below 2^-63 or above 2^64 there is no square; of numbers
# times this, or over this, there is.
_SCALE = 2.0**80
_SCALES = 1.0, _SCALE, 1 / _SCALE
_RANGE = 2.0**-80, 2.0**80


class Moments(NamedTuple):
  """What is kept of an array x.

  square: the mean of x^2.
  tiny: that of (2^80 x)^2.
  huge: that of (2^-80 x)^2.
  mean: of x, None if nobody asked for it.
  """

  square: Any
  tiny: Any
  huge: Any
  mean: Any = None

  @property
  def rms(self) -> np.ndarray:
    """The root mean square of x, in double precision."""
    square, tiny, huge = (np.asarray(x, np.float64) for x in self[:3])
    low, high = _RANGE
    root = np.where(square < low, np.sqrt(tiny) / _SCALE, np.sqrt(square))
    return np.where(square > high, np.sqrt(huge) * _SCALE, root)


@jax.jit
def together(
  pairs: Sequence[tuple[jax.Array, jax.Array]],
  others: Sequence[jax.Array] = (),
) -> tuple[list[Moments], list[jax.Array]]:
  """Of pairs the mean of x y, in the place of x^2; the means of others.

  All have one shape; means are over all entries. Of (x, x) it is the size of x.
  """
  parts = [part for pair in pairs for part in _products(*pair)]
  sums = _sums([*parts, *map(_share, others)])
  end, step = len(parts), len(_SCALES)
  found = [Moments(*sums[i : i + step]) for i in range(0, end, step)]
  return found, list(sums[end:])


@jax.jit
def of(x: jax.Array) -> Moments:
  """Root mean square and mean of an array, over all entries."""
  (size,), (mean,) = together([(x, x)], [x])
  return size._replace(mean=mean)


@jax.jit
def size_of(x: jax.Array) -> Moments:
  """The root mean square of an array alone."""
  return together([(x, x)])[0][0]


def _products(x: jax.Array, y: jax.Array) -> list[jax.Array]:
  """What each entry adds to `Moments`, at each scale."""
  part = _part(x) ** 0.5

  def scaled(x: jax.Array, scale: float) -> jax.Array:
    found = x.astype(jnp.float32) * (part * scale)
    # XLA joins the factors of single entries, to one that is not finite.
    return lax.optimization_barrier(found) if x.size == 1 else found

  return [scaled(x, scale) * scaled(y, scale) for scale in _SCALES]


def _share(x: jax.Array) -> jax.Array:
  """What each entry adds to the mean over an array."""
  return x.astype(jnp.float32) * _part(x)


def _part(x: jax.Array) -> float:
  """The weight of an entry in a mean over an array."""
  return 1 / max(x.size, 1)


@jax.jit
def root_of(size: Moments) -> jax.Array:
  """`Moments.rms` in single precision, inside of a program."""
  low, high = _RANGE
  root = jnp.sqrt(size.square)
  root = jnp.where(size.square < low, jnp.sqrt(size.tiny) / _SCALE, root)
  return jnp.where(size.square > high, jnp.sqrt(size.huge) * _SCALE, root)


@jax.jit
def cosine(product: Moments, x: Moments, y: Moments) -> jax.Array:
  """E x y over the root mean squares of x and y, 0 if one of these is 0.

  Args:
    product: of x and y, see `together`.
    x, y: their sizes.
  """
  low, high = _RANGE
  a, b = root_of(x), root_of(y)
  tiny, huge = a * b < low, a * b > high
  scale = jnp.where(tiny, _SCALE, jnp.where(huge, 1 / _SCALE, 1.0))
  mean = jnp.where(tiny, product.tiny, product.square)
  mean = jnp.where(huge, product.huge, mean)
  whole = (a * scale) * (b * scale)
  return jnp.where(whole == 0, 0.0, mean / jnp.where(whole == 0, 1.0, whole))


def _sums(parts: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
  """The sums of arrays of one shape, in one pass."""
  return _reduced(parts, (0.0,) * len(parts), _add)


def _add(a: Sequence[Any], b: Sequence[Any]) -> tuple[Any, ...]:
  return tuple(x + y for x, y in zip(a, b, strict=True))


def _reduced(parts, start, combine) -> tuple[jax.Array, ...]:
  """A reduction of several arrays, by blocks, then of what these give.

  A block has as many of the last axes as hold `_STEP` numbers.
  """
  start, parts = tuple(map(jnp.float32, start)), tuple(parts)
  while True:
    if parts[0].ndim and parts[0].shape[-1] > _STEP:
      parts = tuple(map(_folded, parts, start))
    shape = parts[0].shape
    first = len(shape)
    while first and math.prod(shape[first - 1 :]) <= _STEP:
      first -= 1
    block = tuple(range(first, len(shape)))
    parts = tuple(lax.reduce(parts, start, combine, block))
    if not first:
      return parts


def _folded(x: jax.Array, fill: jax.Array) -> jax.Array:
  """An array with its last axis as rows, the last filled up."""
  rows = -(-x.shape[-1] // _STEP)
  missing = rows * _STEP - x.shape[-1]
  x = lax.pad(x, fill, [(0, 0, 0)] * (x.ndim - 1) + [(0, missing, 0)])
  return x.reshape(*x.shape[:-1], rows, _STEP)


class Spread(NamedTuple):
  """What is kept of weights.

  centre: about their mean, from some of them.
  shift: the mean of what they are beside it.
  size: of what they are beside it.
  highest, lowest: of the weights.
  """

  centre: Any
  shift: Any
  size: Moments
  highest: Any
  lowest: Any

  @property
  def mean(self) -> Any:
    """Of the weights."""
    constant = self.highest == self.lowest
    return np.where(constant, self.highest, self.centre + self.shift)

  @property
  def variance(self) -> Any:
    """Of the weights, 0 if all are equal."""
    shift = np.asarray(self.shift, np.float64)
    variance = np.maximum(self.size.rms**2 - shift**2, 0.0)
    return np.where(self.highest == self.lowest, 0.0, variance)

  @property
  def largest(self) -> Any:
    """The largest modulus."""
    return np.maximum(self.highest, -self.lowest)


@jax.jit
def spread(w: jax.Array) -> Spread:
  """Mean, variance and range of weights, over all entries."""
  return _spread_and_size(w, None)[0]


def _spread_and_size(
  w: jax.Array, gradient: jax.Array | None
) -> tuple[Spread, Moments | None]:
  """Of weights, and of an array of their shape, in one pass."""
  w = w.astype(jnp.float32)
  some = w.ravel()[:_SAMPLE]
  centre = jnp.sum(_share(some))
  beside = w - centre
  sums = [_share(beside), *_products(beside, beside)]
  own = len(sums)
  sums += [] if gradient is None else _products(gradient, gradient)
  count = len(sums)

  def combine(a: Sequence[Any], b: Sequence[Any]) -> tuple[Any, ...]:
    (highest, lowest), (other, another) = a[count:], b[count:]
    ends = jnp.maximum(highest, other), jnp.minimum(lowest, another)
    return (*_add(a[:count], b[:count]), *ends)

  start = (0.0,) * count + (-jnp.inf, jnp.inf)
  found = _reduced([*sums, w, w], start, combine)
  shift, *sizes = found[:own]
  size = None if gradient is None else Moments(*found[own:count])
  return Spread(centre, shift, Moments(*sizes), *found[count:]), size


@jax.custom_vjp
def sink(x: jax.Array, taken: Moments) -> jax.Array:
  """x; the gradient of `taken` is the moments of dC/dx."""
  del taken
  return x


sink.defvjp(lambda x, taken: (x, None), lambda _, g: (g, of(g)))


@jax.custom_vjp
def sink_of_size(x: jax.Array, taken: Moments) -> jax.Array:
  """x; the gradient of `taken` is the root mean square of dC/dx."""
  del taken
  return x


sink_of_size.defvjp(lambda x, taken: (x, None), lambda _, g: (g, size_of(g)))


def zeros(shape: tuple[int, ...], mean: bool) -> Moments:
  """What a sink takes: one of each a step of the loops that it is in."""
  zero = jnp.zeros(shape, jnp.float32)
  return Moments(zero, zero, zero, zero if mean else None)


@functools.partial(jax.jit, static_argnums=2)
def of_leaf(w: jax.Array, gradient: jax.Array, layered: bool) -> dict[str, Any]:
  """Of a leaf of the params; moments of each of its rows if it is layered."""
  rows = jax.vmap if layered else lambda function: function
  count = min(_SAMPLE, w.size)
  chosen = np.arange(count) * w.size // max(count, 1)
  found, size = rows(_spread_and_size)(w, gradient)
  return {
    'spread': found,
    'gradient': size,
    'sample': w.ravel()[chosen].astype(jnp.float32),
  }


def largest_of(x: jax.Array) -> jax.Array:
  """What to divide an array by before it is squared."""
  tiny = float(np.finfo(np.float32).tiny)
  return jnp.max(jnp.abs(x.astype(jnp.float32)), initial=tiny)


@jax.jit
def token_cosine(x: jax.Array) -> jax.Array:
  """Mean cosine of two tokens of `[B, tokens, features]`; NaN for one."""
  examples, tokens, _ = x.shape
  if tokens < 2:
    return jnp.full((), jnp.nan)
  x = x.astype(jnp.float32)
  x = x / largest_of(x)
  square = jnp.sum(jnp.square(x), -1, keepdims=True)
  x = x / jnp.sqrt(jnp.where(square > 0, square, 1.0))
  total = jnp.sum(jnp.square(jnp.sum(x, 1))) / examples
  return (total - tokens) / (tokens * (tokens - 1.0))
