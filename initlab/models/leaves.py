"""The leaves of a model: what each array is, and which scheme draws it.

A model of the lab declares its parameters as a tree of `Leaf`, from which
`draw` makes them. Any scheme can draw any leaf:

    transformer.init(key, config, {'blocks/*': 'he', '*/out': 'zeros'})
"""

from collections.abc import Callable, Mapping
import fnmatch
import functools
import inspect
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, functions, kernels, keys, schemes

# A scheme's name with its knobs, a dotted path, an initializer, or a factory of
# initializers with or without `in_axis`, `out_axis` and `batch_axis`.
Drawn = functions.Named

# Patterns of leaf names -> what draws these leaves; the last match counts.
Choice = Mapping[str, Drawn]


class Leaf(NamedTuple):
  """One array of a model.

  shape: of the array.
  scheme: that draws it by default.
  axes: which axes of a kernel are what, see `kernels.Axes`; empty for an array
    that is no kernel.
  """

  shape: tuple[int, ...]
  scheme: Drawn
  axes: kernels.Axes = kernels.Axes()


def names(tree: Any, **options: Any) -> list[str]:
  """The names of a pytree's leaves, in its own order.

  Args:
    tree: any pytree; if it is an array, its name is 'params'.
    **options: of `jax.tree_util.tree_flatten_with_path`: `is_leaf`.

  Examples:
    >>> names({'mlp': [1, 2], 'norm': 3})
    ['mlp/0', 'mlp/1', 'norm']
  """
  paths, _ = jax.tree_util.tree_flatten_with_path(tree, **options)
  return [
    jax.tree_util.keystr(path, simple=True, separator='/') or 'params'
    for path, _ in paths
  ]


def draw(
  key: base.Key, declared: Any, choice: Choice | None = None, dtype: Any = None
) -> Any:
  """Draws every leaf of a model.

  Each leaf is drawn from `stream(key, its name)`, so it does not depend on what
  draws the others.

  Args:
    key: it is consumed.
    declared: a pytree of `Leaf`.
    choice: patterns of names, as in a shell, and the schemes that draw what
      they match; '*' matches slashes, too. The last pattern that matches a leaf
      counts. Other leaves are drawn by their own scheme.
    dtype: of the arrays; float32 if None.

  Returns:
    Arrays, in the pytree of the leaves.

  Raises:
    UserError: a pattern matches no leaf, or there is no such scheme.

  Examples:
    >>> declared = {'w': Leaf((2, 3), 'lecun'), 'b': Leaf((3,), 'zeros')}
    >>> draw(keys.root(0), declared, {'w': 'constant:value=0.5'})['w'][0]
    Array([0.5, 0.5, 0.5], dtype=float32)
  """
  is_leaf = lambda node: isinstance(node, Leaf)
  labels = names(declared, is_leaf=is_leaf)
  found, form = jax.tree.flatten(declared, is_leaf=is_leaf)
  chosen = choose(labels, choice or {})
  return form.unflatten(
    initializer(chosen.get(name, leaf.scheme), leaf.axes)(
      keys.stream(key, name), leaf.shape, dtype or jnp.float32
    )
    for name, leaf in zip(labels, found, strict=True)
  )


def choose(labels: list[str], choice: Choice) -> dict[str, Drawn]:
  """What the patterns choose for each name that one of them matches.

  Raises:
    UserError: a pattern matches no name.
  """
  chosen = {}
  for pattern in choice:
    matched = [name for name in labels if fnmatch.fnmatchcase(name, pattern)]
    if not matched:
      raise base.UserError(
        f'{pattern!r} matches no leaf. The leaves: {", ".join(labels)}'
      )
    chosen |= dict.fromkeys(matched, choice[pattern])
  return chosen


def initializer(scheme: Drawn, axes: kernels.Axes) -> base.Initializer:
  """The initializer of a scheme, for kernels with these axes.

  A factory that knows `in_axis` and `out_axis` is told them. Any other scheme
  draws each kernel of a stack in the layout `[*field, n_in, n_out]`, which is
  then brought into the kernel's own.

  Args:
    scheme: a text or a function.
    axes: see `kernels.Axes`; empty for an array that is no kernel.

  Raises:
    UserError: there is no such scheme, or it has no such knob.

  Examples:
    >>> axes = {'in_axis': 1, 'out_axis': 0}
    >>> initializer('zero', axes)(keys.root(0), (4, 2)).T
    Array([[ 0.5,  0.5,  0.5,  0.5],
           [ 0.5, -0.5,  0.5, -0.5]], dtype=float32)
  """
  make = _factory(scheme)
  if axes and _knows_axes(make):
    return make(**axes)
  return _laid_out(make(), axes) if axes else make()


def _factory(scheme: Drawn) -> Callable[..., base.Initializer]:
  """What makes the initializer; its knobs are set."""
  if callable(scheme) and _knows_axes(scheme):
    return scheme
  if isinstance(scheme, str) and '.' in functions.split(scheme)[0]:
    name, given = functions.split(scheme)
    function = functions.imported(name)
    if _knows_axes(function):
      known = functions.knobs_of(function)
      knobs = functions.values(name, given, known)
      return functools.partial(function, **knobs)
  return schemes.resolve(scheme).make


def _knows_axes(function: Callable[..., Any]) -> bool:
  """Whether a factory takes `in_axis`; an initializer is no factory."""
  parameters = functions.signature(function).parameters
  if list(parameters)[1:2] == ['shape']:
    return False
  variadic = inspect.Parameter.VAR_KEYWORD
  return 'in_axis' in parameters or any(
    each.kind == variadic for each in parameters.values()
  )


def _laid_out(
  draw_kernel: base.Initializer, axes: kernels.Axes
) -> base.Initializer:
  """Draws `[*field, n_in, n_out]` kernels and lays them out as the axes say."""

  def laid_out(
    key: base.Key, shape: base.Shape, dtype: Any = jnp.float32
  ) -> base.Array:
    stack, field, ins, outs = (
      [shape[axis] for axis in part]
      for part in kernels.split_axes(tuple(shape), **axes)
    )
    one = (*field, math.prod(ins), math.prod(outs))
    if stack:
      indices = jnp.arange(math.prod(stack), dtype=jnp.uint32)
      draw_at = lambda index: draw_kernel(keys.at(key, index), one, dtype)
      w = jax.vmap(draw_at)(indices)
    else:
      w = draw_kernel(key, one, dtype)
    return arranged(w, shape, axes)

  return laid_out


def arranged(
  w: base.Array, shape: base.Shape, axes: kernels.Axes
) -> base.Array:
  """Entries in the order stack, field, in, out as a kernel with these axes.

  Args:
    w: of any shape.
    shape: of the kernel.
    axes: of the kernel.

  Examples:
    >>> arranged(jnp.arange(6), (3, 2), {'in_axis': 1, 'out_axis': 0}).tolist()
    [[0, 3], [1, 4], [2, 5]]
  """
  order = sum(kernels.split_axes(tuple(shape), **axes), ())
  return w.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
