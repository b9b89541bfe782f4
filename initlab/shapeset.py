"""Shapeset-3x2: grey images of one or two of three shapes, drawn from a key.

Glorot & Bengio 2010, section 2.1, with every constant and rule of the program
they published with it: 32x32 pixels; one or two objects, each a triangle, a
parallelogram or an ellipse (a 20-gon), of any size, place and turn; the front
one hides at most about half of the other; nine classes, which count the shapes.
The supply is endless: image `i` depends only on the key and `i`.
The same key draws the same scene at any `side` that is a multiple of 32 pixels,
except for rounding to whole pixels: edges, and a centre in the overlap rule, by
which a front object now and then takes another place. (Figure 1 of the paper
has a side of 64; the program's viewer gives its ellipses 30 corners.)

Bits. Each image has its own key, so it is the same alone, in a batch and under
`vmap`. The geometry avoids operations that compilers may round differently:
turns come from tables, and products are rounded before they are added
(`_rounded`).

Filling. `fill` is the scanline rule of pygame's `draw.polygon` for integer
corners, boundary included, no anti-aliasing. Compared with pygame 2.6.1 outside
this package, on 9,000 random polygons of 3, 4 and 20 corners and on the objects
of 20,000 drawn images, not one pixel differed; nor did one of those images from
the program's algorithm in float64, drawn by pygame from the same uniforms.
(Earlier releases round the crossings of some edges the other way.)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from initlab import base, keys

SIDE = 32  # pixels
NUM_CLASSES = 9
AT_ONCE = 1000  # images drawn in parallel: bounds the memory, not the bits
CORNERS = np.array([3, 4, 20])  # triangle, parallelogram, ellipse
MAX_CORNERS = int(CORNERS.max())
TURNS = 255  # steps of the full turn
SCALE = (0.2, 0.8)  # of the side
MAX_OVERLAP = 0.5
SCENE = 11  # uniform numbers of an image, beside four for each place
PROPOSALS = 50  # places tried for the second object before it is left out
DARK = (0, 115)  # greys, the end excluded: int(.45 * 255) + 1
LIGHT = (140, 256)

# The label of one object, and of two, by kind.
ONE = np.array([0, 1, 2], np.int32)
TWO = np.array([[6, 3, 5], [3, 7, 4], [5, 4, 8]], np.int32)


def _regular(corners: int) -> np.ndarray:
  """`[20, 2]` corners on the circle of radius 1/2, one edge horizontal.

  The last corner is repeated to fill the array.
  """
  turn = (np.minimum(np.arange(MAX_CORNERS), corners - 1) + 0.5) / corners
  angle = 2 * np.pi * (turn + 0.25)
  return 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


_ANGLE = 2 * np.pi * np.arange(TURNS) / TURNS
_COS, _SIN, _TAN = (
  f(_ANGLE).astype(np.float32) for f in (np.cos, np.sin, np.tan)
)
_REGULAR = np.stack([_regular(n) for n in CORNERS]).astype(np.float32)
# Area of the regular polygon over that of its circle.
_AREA = (CORNERS * np.sin(2 * np.pi / CORNERS) / (2 * np.pi)).astype(np.float32)
_PIXEL = (2 * np.arange(256) / 255 - 1).astype(np.float32)


class Shape(NamedTuple):
  """The shape of an object, without its position: all `[]` int32.

  kind: 0 triangle, 1 parallelogram, 2 ellipse.
  slant: turn before the scaling, in steps of 1/255.
  turn: turn after it.
  """

  kind: base.Array
  slant: base.Array
  turn: base.Array


class Object(NamedTuple):
  """A placed shape, in pixels, float32.

  kind: `[]` int32, as in Shape.
  area: `[]`, in units of pi / 4 square pixels, so that a circle's is s0 s1.
  centre: `[2]`.
  corners: `[20, 2]` around the centre; the last one repeated.
  """

  kind: base.Array
  area: base.Array
  centre: base.Array
  corners: base.Array


def draw(key: base.Key, size: int, side: int = SIDE) -> base.Batch:
  """Draws images.

  Args:
    key: any key; image i is drawn from `keys.at(key, i)`, so that it does not
      depend on `size`.
    size: `B`, how many.
    side: of an image, in pixels; a multiple of 32.

  Returns:
    x `[B, side^2]` float32 in [-1, 1], pixel (column, row) at side * column +
    row; y `[B]` int32: 0, 1, 2 for one triangle, parallelogram, ellipse; 3, 4,
    5 for triangle and parallelogram, parallelogram and ellipse, triangle and
    ellipse; 6, 7, 8 for two triangles, parallelograms, ellipses. The classes
    have probabilities 1/6 (0 to 2), 1/9 (3 to 5) and 1/18 (6 to 8).
  """
  index = jnp.arange(size, dtype=jnp.uint32)
  one = lambda i: draw_one(keys.at(key, i), side)
  return lax.map(one, index, batch_size=AT_ONCE)


def draw_one(key: base.Key, side: int = SIDE) -> base.Batch:
  """Draws one image: `draw` without the leading axis."""
  u = jax.random.uniform(key, (SCENE + 4 * (1 + PROPOSALS),))
  light_objects = u[0] < 0.5
  both = u[1] < 0.5
  background = _grey(u[2], ~light_objects)
  grey = _grey(u[3:5], light_objects)
  first, second = _shape(u[5:8]), _shape(u[8:SCENE])
  places = u[SCENE:].reshape(1 + PROPOSALS, 4)
  back, tries = place(first, places[0], side), places[1:]
  fits = jax.vmap(lambda u: ~overlaps(back, place(second, u, side)))(tries)
  both &= fits.any()
  front = place(second, tries[fits.argmax()], side)
  pair = jax.tree.map(lambda *a: jnp.stack(a), back, front)
  behind, before = jax.vmap(lambda obj: fill(obj, side))(pair)
  x = jnp.where(behind, grey[0], background)
  x = jnp.where(both & before, grey[1], x)
  two = jnp.asarray(TWO)[first.kind, second.kind]
  return base.Batch(
    x.ravel(), jnp.where(both, two, jnp.asarray(ONE)[first.kind])
  )


def place(shape: Shape, u: base.Array, side: int = SIDE) -> Object:
  """Scales, turns and moves a shape.

  The regular polygon is turned by theta1 (`slant`), scaled by s0 >= s1 along
  the axes, turned back by theta2 = -atan(s1 / s0 tan theta1), which makes its
  base horizontal again, turned by theta3 (`turn`), and moved to where one pixel
  stays free on every side.

  Args:
    shape: what to place.
    u: `[4]` uniform numbers in [0, 1): two for the scales, two for the place.
    side: of the image, in pixels.

  Returns:
    The object.
  """
  scale = _between(SCALE[0] * side, SCALE[1] * side, u[:2])
  wide, high = scale.max(), scale.min()
  slope = high / wide * jnp.asarray(_TAN)[shape.slant]
  norm = jnp.sqrt(1 + _rounded(slope * slope))
  back = 1 / norm, -slope / norm
  x, y = jnp.asarray(_REGULAR)[shape.kind].T
  x, y = _rotate(x, y, *_cos_sin(shape.slant))
  x, y = _rotate(wide * x, high * y, *_rotate(*back, *_cos_sin(shape.turn)))
  corners = jnp.stack([x, y], axis=-1)
  low, top = 1 - corners.min(0), side - 1 - corners.max(0)
  area = wide * high * jnp.asarray(_AREA)[shape.kind]
  return Object(shape.kind, area, _between(low, top, u[2:]), corners)


def overlaps(back: Object, front: Object) -> base.Array:
  """Whether the front object would hide too much of the one behind it.

  With v from the centre of the back object (its whole pixels only, as the
  program stores it) to that of the front one, D = |v|, and P the reach of the
  two towards each other along v, the overlap is taken to be
  F = 1 - 2^(1 - P / D) of the front object's area; too much is more than half
  of the back object's area. F < 0 where the two cannot touch, P < D.

  Returns:
    `[]` bool.
  """
  centre = jnp.floor(back.centre)
  v = front.centre - centre
  corners = back.corners + (back.centre - centre)[None]
  reach = _dot(corners, v).max() + _dot(front.corners, -v).max()
  hidden = 1 - jnp.exp2(1 - reach / _dot(v, v))
  return front.area * hidden > MAX_OVERLAP * back.area


def fill(obj: Object, side: int = SIDE) -> base.Array:
  """The pixels of an object: `[side, side]` bool, by column and row.

  Corners are cut to whole pixels. On each row, the crossings of the edges that
  are not horizontal, floor(x1 + (y - y1)(x2 - x1) / (y2 - y1)) with the lower
  end of an edge left out except on the last row, are paired from the left and
  the pixels from one to the other filled, both ends included; horizontal edges
  between the first row and the last are filled too. Every 32 pixels of a row
  are held as the bits of one integer: pixel p lies strictly right of an odd
  number of crossings, or upon one. (pygame fills a polygon of a single row by
  another rule; no shape is that thin.)
  """
  corner = jnp.floor(obj.centre[None] + obj.corners).astype(jnp.int32)
  x2, y2 = jnp.clip(corner, 1, side - 2).T
  x1, y1 = jnp.roll(x2, 1), jnp.roll(y2, 1)
  drawn = jnp.arange(MAX_CORNERS) < jnp.asarray(CORNERS)[obj.kind]
  # One line an edge, one column a row of pixels; (xa, ya) is the upper end.
  upper = y1 < y2
  xa, xb = jnp.where(upper, x1, x2)[:, None], jnp.where(upper, x2, x1)[:, None]
  ya, yb = jnp.minimum(y1, y2)[:, None], jnp.maximum(y1, y2)[:, None]
  row = jnp.arange(side)[None, :]
  last = y2.max()
  crossed = (
    (ya < yb) & (ya <= row) & ((row < yb) | ((row == yb) & (yb == last)))
  )
  # An integer plus a half keeps the quotient clear of integers: any division
  # rounds to the right floor.
  rise = ((row - ya) * (xb - xa)).astype(jnp.float32) + 0.5
  rise /= jnp.maximum(yb - ya, 1).astype(jnp.float32)
  crossing = xa + jnp.floor(rise).astype(jnp.int32)
  flat = drawn[:, None] & (ya == yb) & (row == ya)
  flat &= (y2.min() < row) & (row < last)
  left, right = jnp.minimum(xa, xb), jnp.maximum(xa, xb)
  words = [
    _word(crossed, crossing - first, flat, left - first, right - first)
    for first in range(0, side, 32)
  ]
  column = jnp.arange(32)[:, None]
  bits = [word[None, :] >> column & 1 for word in words]
  return jnp.concatenate(bits).astype(bool)


def _word(
  crossed: base.Array,
  crossing: base.Array,
  flat: base.Array,
  left: base.Array,
  right: base.Array,
) -> base.Array:
  """32 pixels of every row, `[rows]` int32; places count from the first.

  Args:
    crossed: `[edges, rows]` whether the edge crosses the row.
    crossing: `[edges, rows]` where it does.
    flat: `[edges, rows]` whether the edge lies in the row.
    left, right: `[edges, 1]` its ends.
  """
  upon, beyond = _from(crossing)
  span = (_from(left)[0] | _from(left)[1]) & ~_from(right)[1]
  upon = jnp.where(crossed, upon, 0) | jnp.where(flat, span, 0)
  inside = _reduce(lax.bitwise_xor, jnp.where(crossed, beyond, 0))
  return _reduce(lax.bitwise_or, upon) | inside


def _from(index: base.Array) -> tuple[base.Array, base.Array]:
  """The bit of that index, and all bits above it; it may be outside 0 to 31."""
  within = index & 31
  bit = jnp.where(index == within, 1 << within, 0)
  beyond = jnp.where(index < 0, -1, jnp.where(index < 32, -2 << within, 0))
  return bit, beyond


def _reduce(op: Callable, x: base.Array) -> base.Array:
  return lax.reduce(x, np.int32(0), op, (0,))


def _shape(u: base.Array) -> Shape:
  """A shape from three uniform numbers.

  theta1 is within half an angle between corners, pi / n, of zero. Its index is
  uniform on 255 // n integers, the upper half of them moved to the end of the
  circle; of the triangle, the last two meet. theta3 never has the last index.
  """
  kind = _index(u[0], len(CORNERS))
  slants = [_slants(n) for n in CORNERS]
  count = jnp.asarray([len(of_kind) for of_kind in slants])[kind]
  padded = [np.resize(of_kind, max(map(len, slants))) for of_kind in slants]
  slant = jnp.asarray(np.stack(padded))[kind, _index(u[1], count)]
  return Shape(kind, slant, _index(u[2], TURNS - 1))


def _slants(corners: int) -> np.ndarray:
  """The equally likely indices of theta1, `[255 // corners]` int32."""
  index = np.arange(TURNS // corners, dtype=np.int32)
  moved = np.minimum(index + TURNS - (TURNS - 1) // corners, TURNS - 1)
  return np.where(index > (TURNS - 1) // (2 * corners), moved, index)


def _grey(u: base.Array, light: base.Array) -> base.Array:
  """Pixel values, uniform on the light or the dark greys."""
  low = jnp.where(light, LIGHT[0], DARK[0])
  count = jnp.where(light, LIGHT[1] - LIGHT[0], DARK[1] - DARK[0])
  return jnp.asarray(_PIXEL)[low + _index(u, count)]


def _index(u: base.Array, count: base.Array | int) -> base.Array:
  """Uniform on 0 .. count - 1, from u uniform in [0, 1)."""
  return jnp.floor(u * jnp.float32(count)).astype(jnp.int32)


def _between(
  low: float | base.Array, high: float | base.Array, u: base.Array
) -> base.Array:
  """Uniform on [low, high), from u uniform in [0, 1)."""
  return low + _rounded((high - low) * u)


def _cos_sin(turn: base.Array) -> tuple[base.Array, base.Array]:
  return jnp.asarray(_COS)[turn], jnp.asarray(_SIN)[turn]


def _rotate(
  x: base.Array, y: base.Array, cos: base.Array, sin: base.Array
) -> tuple[base.Array, base.Array]:
  """(x, y) turned by the angle of that cosine and sine."""
  return (
    _rounded(x * cos) - _rounded(y * sin),
    _rounded(x * sin) + _rounded(y * cos),
  )


def _dot(points: base.Array, v: base.Array) -> base.Array:
  return _rounded(points[..., 0] * v[0]) + _rounded(points[..., 1] * v[1])


def _rounded(product: base.Array) -> base.Array:
  """The rounded product, protected from fused multiply-add.

  A compiler may or may not fuse a product with an addition, which changes bits
  between programs; it cannot fuse across the maximum.
  """
  return jnp.maximum(product, -1e30)
