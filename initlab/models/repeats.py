"""Leaves that one key draws: the same numbers, up to a factor.

JAX draws entries in the order of memory, whatever the shape, so leaves that
are drawn from one key by the same distribution begin alike.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import stats
from initlab.models import places

_ENTRIES = 64  # of a leaf, that are compared

# Fewer are not compared. A correlation of 0.9 of 16 independent normal numbers
# has p = 2e-6, and every seed has to exceed it; uniform and normal draws of one
# key have 0.977.
_FEWEST = 16
_ALIKE = 0.9


class Start(NamedTuple):
  """The first entries of a leaf.

  first: `[K]`.
  second: `[J]` of its second slice along the first axis; empty without one.
  """

  first: jax.Array
  second: jax.Array


def start(leaf: jax.Array) -> Start:
  """The entries that are compared, in float32."""
  wide = jnp.ravel(leaf).astype(jnp.float32)
  size = leaf.size // leaf.shape[0] if leaf.ndim > 1 and leaf.size else 0
  return Start(wide[:_ENTRIES], wide[size : 2 * size][:_ENTRIES])


def noted(
  leaves: Sequence[places.Leaf],
  starts: Sequence[tuple[np.ndarray, np.ndarray]],
  layers: Collection[str],
) -> tuple[places.Leaf, ...]:
  """The leaves with what they repeat.

  A leaf that all seeds draw alike repeats nothing. Nor does one that has no
  gradient while the other has one: a copy that is kept, as of a target network.

  Args:
    leaves: of the params.
    starts: a `Start` of each with measures, `[S, K]` and `[S, J]`.
    layers: names of leaves whose slices along the first axis are layers.
  """
  rest = iter(starts)
  drawn: list[tuple[places.Leaf, np.ndarray]] = []
  found = []
  for leaf in leaves:
    if not leaf.measured:
      found.append(leaf)
      continue
    first, second = next(rest)
    others = [(other, x) for other, x in drawn if _both_learn(leaf, other)]
    if leaf.name in layers:
      others.append((leaf, second))
    if _random(leaf):
      drawn.append((leaf, first))
      leaf = leaf._replace(repeats=_repeats(first, others))
    found.append(leaf)
  return tuple(found)


def _random(leaf: places.Leaf) -> bool:
  return leaf.family not in ('fixed', 'constant') and leaf.role != 'unused'


def _both_learn(leaf: places.Leaf, other: places.Leaf) -> bool:
  """Whether a leaf has a gradient, or the other has none either."""
  gradient, others = (x.measured['gradient'] for x in (leaf, other))
  return bool(gradient.any() or not others.any())


def _repeats(
  first: np.ndarray, others: Sequence[tuple[places.Leaf, np.ndarray]]
) -> places.Repeats | None:
  """The first of others whose entries are alike in every seed."""
  for other, entries in others:
    size = min(first.shape[1], entries.shape[1])
    if len(first) >= stats.FEWEST and size >= _FEWEST:
      found = _correlation(first[:, :size], entries[:, :size])
      if np.all(found > _ALIKE):
        return places.Repeats(other.name, found)
  return None


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """`[S]` the size of the correlation, NaN where nothing is random.

  It is of what differs between seeds: an identity plus noise repeats no other.
  """
  a, b = (_beside_means(x) for x in (a, b))
  with np.errstate(divide='ignore', invalid='ignore'):
    square = np.sum(a**2, axis=1) * np.sum(b**2, axis=1)
    return np.abs(np.sum(a * b, axis=1)) / np.sqrt(square)


def _beside_means(x: np.ndarray) -> np.ndarray:
  """What is beside the mean over seeds and that over entries.

  In double precision, so that the mean of equal numbers is exact.
  """
  x = x.astype(np.float64)
  x = x - x.mean(axis=0)
  return x - x.mean(axis=1, keepdims=True)
