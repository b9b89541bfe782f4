"""Shapeset against its own program, written here once more in plain NumPy.

`reference` follows papers and program one image and one object at a time, in
float64, from the same uniform numbers. Its `scanlines` is the rule of pygame's
`draw.polygon`; outside this suite, which does not depend on pygame, the whole
of 20,000 images and 9,000 random polygons were compared with pygame 2.6.1 and
not one pixel differed.
"""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import keys, shapeset

CORNERS = (3, 4, 20)
FEW = 200
draw = jax.jit(shapeset.draw, static_argnums=(1, 2))
draw_one = jax.jit(shapeset.draw_one)


@pytest.fixture(scope='module')
def batch():
  """10,000 images of root 2010, in NumPy."""
  return jax.device_get(draw(keys.root(2010), 10_000))


@pytest.fixture(scope='module')
def images(batch):
  return np.asarray(batch.x, np.float64), batch.y


def rows(batch, index):
  return jax.tree.map(lambda a: np.asarray(a)[index], batch)


def scanlines(corners, side=32):
  """`[side, side]` bool by column and row, from integer corners `[n, 2]`."""
  image = np.zeros((side, side), bool)
  edges = list(zip(np.roll(corners, 1, axis=0), corners, strict=True))
  first, last = corners[:, 1].min(), corners[:, 1].max()
  for y in range(first, last + 1):
    crossings = []
    for edge in edges:
      (x1, y1), (x2, y2) = sorted(edge, key=lambda corner: corner[1])
      if y1 <= y < y2 or y1 < y == y2 == last:
        crossings.append(x1 + (y - y1) * (x2 - x1) // (y2 - y1))
    crossings.sort()
    for left, right in zip(crossings[::2], crossings[1::2], strict=True):
      image[left : right + 1, y] = True
  for (x1, y1), (x2, y2) in edges:
    if first < y1 == y2 < last:
      image[min(x1, x2) : max(x1, x2) + 1, y1] = True
  return image


def rotation(angle):
  cos, sin = math.cos(angle), math.sin(angle)
  return np.array([[cos, sin], [-sin, cos]])


def polygon(kind, slant, turn, u):
  """Corners `[n, 2]` in the image, centre and the product of the scales."""
  n = CORNERS[kind]
  angle = 2 * np.pi * ((np.arange(n) + 0.5) / n + 0.25)
  points = 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
  scale = np.sort(32 * (0.2 + 0.6 * u[:2]))[::-1]
  theta1 = 2 * np.pi * slant / 255
  theta2 = -math.atan(scale[1] / scale[0] * math.tan(theta1))
  points = points @ rotation(theta1) * scale
  points = points @ rotation(theta2) @ rotation(2 * np.pi * turn / 255)
  low = np.maximum(0, -(points.min(0) - 1) / 32)
  high = np.minimum(1, 1 - (points.max(0) + 1) / 32)
  centre = 32 * (low + (high - low) * u[2:])
  return points + centre, centre, scale.prod()


def rejected(back, front, n_back, n_front):
  """The overlap rule, in the order of its description."""
  centre = back[1].astype(np.int32)
  v = front[1] - centre
  distance = math.hypot(*v)
  reach = ((back[0] - centre) @ v).max() - ((front[0] - front[1]) @ v).min()
  reach /= distance
  if reach < distance:
    return False
  hidden = 1 - math.exp(-(reach - distance) / (distance / math.log(2)))
  ratio = lambda n: n * math.sin(2 * math.pi / n) / (2 * math.pi)
  share = front[2] * ratio(n_front) * hidden / (back[2] * ratio(n_back))
  return share > 0.5


def slants(n):
  """Indices of theta1 that are equally likely, for a polygon of n corners."""
  index = np.arange(255 // n)
  end = np.minimum(255 - 254 // n + index, 254)
  return np.where(index > 254 // (2 * n), end, index)


def reference(key):
  """One image `[1024]`, its label, and how many objects it holds."""
  u = np.asarray(jax.random.uniform(key, (11 + 4 * 51,)), np.float64)
  first, *tries = u[11:].reshape(51, 4)
  grey = lambda u, light: 140 + int(116 * u) if light else int(115 * u)
  light = u[0] < 0.5
  image = np.full((32, 32), grey(u[2], not light))
  shapes = []
  for kind, slant, turn in (u[5:8], u[8:11]):
    kind = int(3 * kind)
    choices = slants(CORNERS[kind])
    shapes.append((kind, choices[int(len(choices) * slant)], int(254 * turn)))
  back = polygon(*shapes[0], first)
  image[scanlines(back[0].astype(int))] = grey(u[3], light)
  drawn = [shapes[0][0]]
  if u[1] < 0.5:
    n = [CORNERS[kind] for kind, _, _ in shapes]
    for place in tries:
      front = polygon(*shapes[1], place)
      if not rejected(back, front, *n):
        image[scanlines(front[0].astype(int))] = grey(u[4], light)
        drawn.append(shapes[1][0])
        break
  counts = tuple(drawn.count(kind) for kind in range(3))
  label = {
    (1, 0, 0): 0,
    (0, 1, 0): 1,
    (0, 0, 1): 2,
    (1, 1, 0): 3,
    (0, 1, 1): 4,
    (1, 0, 1): 5,
    (2, 0, 0): 6,
    (0, 2, 0): 7,
    (0, 0, 2): 8,
  }[counts]
  return (2 * image / 255 - 1).astype(np.float32).ravel(), label


@jax.jit
def objects(key):
  """12,000 placed objects of any kind."""

  def one(i):
    u = jax.random.uniform(keys.at(key, i), (7,))
    return shapeset.place(shapeset._shape(u[:3]), u[3:])

  return jax.vmap(one)(jnp.arange(12_000, dtype=jnp.uint32))


place = jax.jit(jax.vmap(shapeset.place, in_axes=(0, None)))
fill = jax.jit(
  lambda objects, side=32: jax.vmap(lambda one: shapeset.fill(one, side))(
    objects
  ),
  static_argnums=1,
)
overlaps = jax.jit(jax.vmap(shapeset.overlaps))


def test_every_pixel_and_label_of_the_reference():
  # float32 moves a corner by some 1e-5 pixels, so that one image in ten
  # thousand may differ where a corner meets a pixel's edge; none of these does.
  batch = draw(keys.root(0), FEW)
  for i in range(FEW):
    image, label = reference(keys.at(keys.root(0), i))
    np.testing.assert_array_equal(batch.x[i], image, err_msg=f'image {i}')
    assert batch.y[i] == label


@pytest.mark.parametrize(
  ('kind', 'side'), [(0, 32), (1, 32), (2, 32), (0, 64), (2, 64)]
)
def test_fill_is_the_scanline_rule_for_any_polygon(kind, side):
  n = CORNERS[kind]
  random = np.random.RandomState(kind)
  corners = random.randint(1, side - 1, (200, n, 2))
  last = np.repeat(corners[:, -1:], 20 - n, axis=1)
  padded = jnp.asarray(np.concatenate([corners, last], axis=1), jnp.float32)
  filled = fill(
    shapeset.Object(
      kind=jnp.full(200, kind),
      area=jnp.ones(200),
      centre=jnp.zeros((200, 2)),
      corners=padded,
    ),
    side,
  )
  for found, polygon in zip(filled, corners, strict=True):
    np.testing.assert_array_equal(found, scanlines(polygon, side))


@pytest.mark.slow
def test_a_larger_image_shows_the_same_scene():
  """Greys alike; a pixel in 4 differs where an edge, cut to pixels, passes.

  A shape of 32 pixels across has an outline of some 100 of 1024 pixels, whose
  place is known to about one pixel: under a fifth of them differ.
  """
  small, large = (draw(keys.root(0), 20, side) for side in (32, 64))
  chex.assert_trees_all_equal(small.y, large.y)
  shrunk = np.asarray(large.x).reshape(20, 32, 2, 32, 2)[:, :, 0, :, 0]
  assert np.mean(shrunk.reshape(20, -1) != small.x) < 0.05
  for few, many in zip(small.x, large.x, strict=True):
    assert set(np.unique(few)) == set(np.unique(many))


def test_shapes_types_and_range(batch, images):
  chex.assert_shape(batch.x, (10_000, 1024))
  chex.assert_shape(batch.y, (10_000,))
  chex.assert_type(batch.x, jnp.float32)
  chex.assert_type(batch.y, jnp.int32)
  x, y = images
  # 8-bit greys, those between 114 and 140 excepted.
  grey = (x + 1) * 127.5
  assert np.abs(grey - grey.round()).max() < 1e-4
  values = np.unique(grey.round())
  np.testing.assert_array_equal(values, [*range(115), *range(140, 256)])
  assert set(y) == set(range(9))


def test_classes_have_their_probabilities(images):
  _, y = images
  p = np.repeat([1 / 6, 1 / 9, 1 / 18], 3)
  found = np.bincount(y, minlength=9) / len(y)
  # Binomial standard errors; 4.5 of them, nine times, are one false
  # alarm in 16,000.
  assert np.all(np.abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / len(y)))


def test_moments_of_a_pixel(images):
  x, _ = images
  # Of a grey level, by the symmetry of the swap: uniform on 0..114 or 140..255,
  # half each, whatever the geometry.
  grey = [2 * np.arange(a, b) / 255 - 1 for a, b in ((0, 115), (140, 256))]
  mean = np.mean([g.mean() for g in grey])
  square = np.mean([(g**2).mean() for g in grey])
  assert mean == pytest.approx(-0.001961, abs=1e-6)
  assert square == pytest.approx(0.371965, abs=1e-6)
  # Pixels of one image depend on each other: the image is the unit.
  for of_image, expected in ((x.mean(1), mean), ((x**2).mean(1), square)):
    error = of_image.std() / math.sqrt(len(x))
    assert abs(of_image.mean() - expected) < 4 * error


def test_the_border_is_background(images):
  square = images[0].reshape(-1, 32, 32)
  border = np.concatenate(
    [square[:, [0, -1]].reshape(-1, 64), square[:, :, [0, -1]].reshape(-1, 64)],
    axis=1,
  )
  np.testing.assert_array_equal(
    border, np.broadcast_to(border[:, :1], border.shape)
  )


def test_objects_have_their_areas_and_stay_inside():
  found = jax.tree.map(
    lambda a: np.asarray(a, np.float64), objects(keys.root(3))
  )
  x, y = np.moveaxis(found.corners, -1, 0)
  area = 0.5 * np.abs(
    np.sum(x * np.roll(y, 1, axis=1) - y * np.roll(x, 1, axis=1), axis=1)
  )
  # Shoelace in float64 of float32 corners: each is off by some ulps of 16.
  np.testing.assert_allclose(area, found.area * np.pi / 4, rtol=1e-5)
  for kind, n in enumerate(CORNERS):
    of_kind = area[found.kind == kind]
    expected = 256 * n * math.sin(2 * math.pi / n) / 8
    error = of_kind.std() / math.sqrt(len(of_kind))
    assert abs(of_kind.mean() - expected) < 4 * error
  corners = found.centre[:, None] + found.corners
  # Sums of float32 numbers below 32: half an ulp each.
  assert corners.min() >= 1 - 1e-5 and corners.max() <= 31 + 1e-5


@pytest.mark.parametrize('kind', [0, 1, 2])
def test_the_base_is_horizontal_before_the_last_turn(kind):
  # With theta3 = 0, two neighbouring corners lie on one horizontal line.
  slant = jnp.asarray(np.resize(slants(CORNERS[kind]), 85), jnp.int32)
  shape = shapeset.Shape(jnp.full(85, kind), slant, jnp.full(85, 0))
  placed = place(shape, jnp.array([0.9, 0.1, 0, 0]))
  y = np.asarray(placed.corners)[:, : CORNERS[kind], 1]
  assert np.abs(y - np.roll(y, 1, axis=1)).min(axis=1).max() < 1e-5


@pytest.mark.parametrize(
  ('kind', 'expected'),
  [
    (0, [*range(43), *range(214, 255), 254]),
    (1, [*range(32), *range(224, 255)]),
    (2, [*range(7), *range(250, 255)]),
  ],
)
def test_slants_are_those_of_the_program(kind, expected):
  # The middles of the equally likely intervals of the uniform number.
  u = (np.arange(len(expected), dtype=np.float32) + 0.5) / len(expected)
  middle = jnp.float32((kind + 0.5) / 3)
  shape = lambda u: shapeset._shape(jnp.stack([middle, u, u]))
  slant = jax.jit(jax.vmap(shape))(jnp.asarray(u)).slant
  np.testing.assert_array_equal(np.sort(slant), expected)
  np.testing.assert_array_equal(np.sort(slant), np.sort(slants(CORNERS[kind])))


@pytest.mark.slow
def test_a_second_object_that_never_fits_is_left_out(monkeypatch):
  usual = draw(keys.root(4), FEW)
  monkeypatch.setattr(shapeset, 'overlaps', lambda back, front: jnp.bool_(True))
  alone = jax.jit(lambda key: shapeset.draw(key, FEW))(keys.root(4))
  assert np.all(alone.y < 3)
  single = np.asarray(usual.y) < 3
  assert 0 < single.sum() < FEW
  np.testing.assert_array_equal(alone.x[single], usual.x[single])
  assert np.any(alone.x[~single] != usual.x[~single], axis=1).all()


def test_the_front_object_hides_half_of_the_back_one_at_most():
  """As the rule estimates it, for whatever was accepted; pixels follow."""
  back, front = (objects(keys.root(seed)) for seed in (5, 6))
  found = np.asarray(overlaps(back, front))
  over, under = np.asarray(fill(front)), np.asarray(fill(back))
  hidden = (over & under).sum((1, 2)) / under.sum((1, 2))
  # The overlap rule is an estimate: 0.0018 of the pairs exceed one half by it,
  # by little; four standard errors above that.
  accepted = hidden[~found]
  assert np.mean(accepted > 0.5) < 0.0018 + 4 * math.sqrt(
    0.0018 / len(accepted)
  )
  assert hidden[found].mean() > accepted.mean() + 0.2
  assert 0.2 < found.mean() < 0.6


@pytest.mark.slow
def test_an_image_is_the_same_alone_in_company_and_under_vmap(batch):
  key = keys.root(2010)
  few = draw(key, FEW)
  chex.assert_trees_all_equal(rows(few, slice(None)), rows(batch, slice(FEW)))
  for i in (0, 1, 999, 1000, 19_999):  # drawn a thousand at a time
    chex.assert_trees_all_equal(
      rows(draw_one(keys.at(key, i)), ...), rows(batch, i)
    )
  lanes = jax.vmap(lambda i: draw(keys.at(key, i), FEW))
  lanes = lanes(jnp.arange(3, dtype=jnp.uint32))
  for seed in range(3):
    chex.assert_trees_all_equal(
      rows(draw(keys.at(key, seed), FEW), ...), rows(lanes, seed)
    )


def test_an_image_is_the_same_on_another_device(batch):
  other = jax.devices()[1]
  found = draw_one(jax.device_put(keys.at(keys.root(2010), 5), other))
  assert found.x.devices() == {other}
  chex.assert_trees_all_equal(rows(found, ...), rows(batch, 5))


def test_other_keys_draw_other_images():
  x = np.concatenate([draw(keys.root(seed), FEW).x for seed in range(3)])
  assert len(np.unique(x, axis=0)) == 3 * FEW


def test_the_bits_are_pinned():
  # Labels and sums of greys of the first images of root 0; a change here is a
  # change of results, for the top of the changelog.
  found = rows(draw(keys.root(0), FEW), slice(6))
  grey = np.rint((found.x.astype(np.float64) + 1) * 127.5).astype(int)
  assert found.y.tolist() == [8, 6, 1, 2, 0, 2]
  assert grey.sum(1).tolist() == [138520, 81165, 162660, 117941, 22486, 202040]


@pytest.mark.slow
def test_an_image_is_the_same_without_jit():
  chex.assert_trees_all_equal(
    *(rows(one(keys.root(8)), ...) for one in (shapeset.draw_one, draw_one))
  )


@pytest.mark.slow
def test_of_many_images_none_differs_alone():
  key = keys.root(9)
  company = jax.device_get(draw(key, 20_000))
  for i in range(20_000):
    alone = draw_one(keys.at(key, i))
    assert alone.y == company.y[i]
    np.testing.assert_array_equal(alone.x, company.x[i])


@pytest.mark.slow
def test_every_pixel_and_label_of_the_reference_many_times():
  batch = jax.device_get(draw(keys.root(10), 5000))
  differ = 0
  for i in range(5000):
    image, label = reference(keys.at(keys.root(10), i))
    differ += bool(np.any(batch.x[i] != image) or batch.y[i] != label)
  # 40 corners of 1e-5 pixels: 4e-4 an image, a mean of 2; 10 is one in 50,000.
  assert differ <= 10
