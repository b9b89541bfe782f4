"""Leaves that one key draws: the same numbers, up to a factor.

JAX draws entries in the order of memory, whatever the shape, so leaves that
are drawn from one key by the same distribution begin alike.
"""

from collections.abc import Collection, Mapping, Sequence
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


# How many of the first entries -> they, `[S, K]`, of mean 0 and norm 1: a sum
# of products of two leaves is a correlation.
_Units = Mapping[int, np.ndarray]


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
  sizes = {part.shape[1] for start_ in starts for part in start_}
  rest = iter(starts)
  drawn: list[tuple[places.Leaf, _Units]] = []
  found = []
  for leaf in leaves:
    if not leaf.measured:
      found.append(leaf)
      continue
    first, second = (_units(part, sizes) for part in next(rest))
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
  first: _Units, others: Sequence[tuple[places.Leaf, _Units]]
) -> places.Repeats | None:
  """The first of others whose entries are alike in every seed."""
  for other, entries in others:
    if first and entries:
      size = min(max(first), max(entries))
      found = np.abs(np.sum(first[size] * entries[size], axis=1))
      if np.all(found > _ALIKE):
        return places.Repeats(other.name, found)
  return None


def _units(x: np.ndarray, sizes: Collection[int]) -> _Units:
  """Of `[S, K]` entries, of which those of too few seeds are not compared."""
  whole = x.astype(np.float64)  # in which the mean of equal numbers is exact
  counts = [k for k in sizes if _FEWEST <= k <= x.shape[1]]
  return {k: _unit(whole[:, :k]) for k in counts if len(x) >= stats.FEWEST}


def _unit(x: np.ndarray) -> np.ndarray:
  """Beside the mean over seeds and that over entries, in units of its norm.

  So an identity plus noise repeats no other. NaN where nothing is random.
  """
  x = x - x.mean(axis=0)
  x = x - x.mean(axis=1, keepdims=True)
  with np.errstate(divide='ignore', invalid='ignore'):
    return x / np.linalg.norm(x, axis=1, keepdims=True)
