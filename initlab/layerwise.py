"""Loops over layers of equal shape, which bound the compile time.

From a few dozen layers on, an unrolled program takes longer to compile than to
run. Computations shared by layers of one shape therefore become one loop.
"""

from collections.abc import Callable, Hashable, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp


def each(
  function: Callable[..., Any],
  *layers: Sequence[Any],
  static: Sequence[Hashable] = (),
) -> list[Any]:
  """Maps `function` over layers, with one loop per shape.

  Args:
    function: takes the parts of one layer, arrays or trees of them.
    *layers: one sequence of `L` parts for each argument.
    static: if given, `L` static values, the first argument of `function`; only
      layers with equal values share a loop.

  Returns:
    `L` results, in the order of the layers.

  Examples:
    >>> wide, narrow = jnp.ones((2, 3)), jnp.ones((2,))
    >>> [int(total) for total in each(jnp.sum, [wide, narrow, 2 * wide])]
    [6, 2, 12]
  """
  parts = list(zip(*layers, strict=True))
  statics = [(value,) for value in static] or [()] * len(parts)
  groups: dict[tuple[tuple[Any, ...], Hashable], list[int]] = {}
  for index, key in enumerate(zip(statics, map(_shapes, parts), strict=True)):
    groups.setdefault(key, []).append(index)
  found: dict[int, Any] = {}
  for (first, _), indices in groups.items():
    call = functools.partial(function, *first)
    if len(indices) == 1:
      results = [call(*parts[indices[0]])]
    else:
      stacked = stack([parts[index] for index in indices])
      mapped = jax.lax.map(lambda part, call=call: call(*part), stacked)
      results = unstack(mapped, len(indices))
    found.update(zip(indices, results, strict=True))
  return [found[index] for index in range(len(parts))]


def runs(layers: Sequence[Any]) -> list[slice]:
  """The longest runs of neighbours with the same shapes, in order.

  Examples:
    >>> runs([jnp.ones(2), jnp.ones(3), jnp.ones(3)])
    [slice(0, 1, None), slice(1, 3, None)]
  """
  shapes = [_shapes(layer) for layer in layers]
  starts = [i for i in range(len(shapes)) if shapes[i - 1 : i] != [shapes[i]]]
  return list(map(slice, starts, [*starts[1:], len(shapes)]))


def stack(trees: Sequence[Any]) -> Any:
  """Stacks trees of one structure into arrays `[len(trees), ...]`."""
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: Any, size: int) -> list[Any]:
  """The inverse of `stack`."""
  pick = lambda index, leaf: leaf[index]
  return [
    jax.tree.map(functools.partial(pick, index), tree) for index in range(size)
  ]


def _shapes(layer: Any) -> Hashable:
  leaves, structure = jax.tree.flatten(layer)
  return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
