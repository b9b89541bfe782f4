"""Which entries of a leaf a weight is made of, and which axes are what.

A site knows the roles of its weight's dimensions: summed over, indexing units,
indexing separate products, or positions of a receptive field. The weight may be
the leaf cut, turned and folded: followed back entry by entry, the roles become
those of the leaf's own axes, in any framework's layout.
"""

import collections
from collections.abc import Callable
import math
from typing import NamedTuple

import numpy as np

from initlab import kernels
from initlab.models import elementwise
from initlab.models.program import (
  Constant,
  Operand,
  Operation,
  Program,
  split_scan,
  variables,
)


class Scope(NamedTuple):
  """A program, and whence its inputs come.

  program: the program.
  makers: variable -> the operation that makes it.
  outer: the scope around a loop's body or a branch; None for the whole model.
  sources: input -> the operand outside, and whether it is cut by iterations.
  """

  program: Program
  makers: dict[int, Operation]
  outer: 'Scope | None'
  sources: dict[int, tuple[Operand, bool]]


# Layouts that keep every entry, once.
_TURNS = ('reshape', 'transpose', 'squeeze', 'expand_dims', 'copy', 'rev')


def alone(
  program: Program, given: dict[Operand, int] | None = None
) -> dict[Operand, int]:
  """Variables that are an input, turned or folded, which nothing else uses.

  Args:
    program: it, and the bodies of the loops that it cuts its inputs for.
    given: of a body, those of its inputs that are cuts of such variables.

  Returns:
    Variable -> the input of the program.
  """
  uses: collections.Counter[Operand] = collections.Counter(
    each for operation in program.flat() for each in variables(operation)
  )
  uses.update(each for each in program.outputs if isinstance(each, int))
  start: dict[Operand, int] = {each: each for each in program.inputs}
  start = start if given is None else given
  found = {each: start[each] for each in start if uses[each] == 1}
  for operation in program.flat():
    if operation.name in _TURNS and len(operation.inputs) == 1:
      (before,), (after,) = operation.inputs, operation.outputs
      if before in found and uses[after] == 1:
        found[after] = found[before]
    elif operation.name == 'scan' and operation.bodies and given is None:
      (body,) = operation.bodies
      first = sum(split_scan(program, operation))
      pairs = zip(body.inputs[first:], operation.inputs[first:], strict=True)
      # What is turned before it is cut is not cut by its first axis.
      cut: dict[Operand, int] = {
        inner: found[each] for inner, each in pairs if found.get(each) == each
      }
      found |= alone(body, cut)
  return found


def of(
  scope: Scope, operand: Operand, leaf: int, iteration: int
) -> np.ndarray | None:
  """The leaf's entry in each place of a variable, counted in C order.

  Args:
    scope: of the variable.
    operand: the variable.
    leaf: the input of the whole model that the leaf is.
    iteration: 0 or -1, of every loop that cuts the leaf.

  Returns:
    An array of the variable's shape; None where its entries are not those of
    the leaf, each scaled or shifted at most.
  """
  if isinstance(operand, Constant):
    return None
  maker = scope.makers.get(operand)
  if maker is not None:
    inputs = lambda each: of(scope, each, leaf, iteration)
    if maker.name in ('concatenate', 'stack'):
      return _concatenated(maker, scope, inputs)
    shape = scope.program.types[operand].shape
    return _through(maker, shape, inputs, operand, iteration)
  if scope.outer is None:
    if operand != leaf:
      return None
    shape = scope.program.types[leaf].shape
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
  if operand not in scope.sources:
    return None
  source, cut = scope.sources[operand]
  found = of(scope.outer, source, leaf, iteration)
  return found[iteration] if cut and found is not None else found


def _through(
  operation: Operation,
  shape: tuple[int, ...],
  entries: Callable[[Operand], np.ndarray | None],
  output: int,
  iteration: int,
) -> np.ndarray | None:
  """The entries of an output from those of the operands."""
  name, params = operation.name, operation.params
  if elementwise.is_elementwise(operation) and name not in elementwise.LAYOUT:
    found = (entries(each) for each in operation.inputs)
    return next((e for e in found if e is not None and e.shape == shape), None)
  if name not in elementwise.LAYOUT and name not in (
    'slice',
    'split',
    'dynamic_slice',
  ):
    return None
  x = entries(operation.inputs[0])
  if x is None:
    return None
  if name == 'transpose':
    return np.transpose(x, params['permutation'])
  if name == 'rev':
    return np.flip(x, params['dimensions'])
  if name == 'broadcast_in_dim':
    if math.prod(shape) != x.size:
      return None
    return x.reshape(shape)
  if name == 'slice':
    strides = params['strides'] or (1,) * x.ndim
    ends = zip(
      params['start_indices'], params['limit_indices'], strides, strict=True
    )
    return x[tuple(slice(*each) for each in ends)]
  if name == 'dynamic_slice':
    cuts = zip(
      operation.inputs[1:], x.shape, params['slice_sizes'], strict=True
    )
    return x[tuple(_cut(*each, iteration) for each in cuts)]
  if name == 'split':
    ends = np.cumsum(params['sizes'])[:-1]
    index = operation.outputs.index(output)
    return np.split(x, ends, params['axis'])[index]
  return x.reshape(shape)


def _cut(start: Operand, size: int, length: int, iteration: int) -> slice:
  """What is cut of an axis; a start that is computed counts the iterations."""
  if isinstance(start, Constant):
    first = min(max(int(start.value), 0), size - length)
  else:
    first = 0 if iteration == 0 else size - length
  return slice(first, first + length)


def _concatenated(
  operation: Operation,
  scope: Scope,
  entries: Callable[[Operand], np.ndarray | None],
) -> np.ndarray | None:
  """Entries of one leaf among several; those of others are -1."""
  found = [entries(each) for each in operation.inputs]
  if all(each is None for each in found):
    return None
  shapes = (scope.program.type_of(each).shape for each in operation.inputs)
  filled = [
    np.full(shape, -1) if each is None else each
    for each, shape in zip(found, shapes, strict=True)
  ]
  if operation.name == 'stack':
    return np.stack(filled, operation.params['axis'])
  return np.concatenate(filled, operation.params['dimension'])


def _roles_along(
  entries: np.ndarray, leaf_shape: tuple[int, ...], roles: tuple[str, ...]
) -> list[set[str]]:
  """For each axis of a leaf, the roles of the dimensions that run along it."""
  found: list[set[str]] = [set() for _ in leaf_shape]
  for dim, role in enumerate(roles):
    for corner in (0, -1):
      line = np.moveaxis(entries, dim, -1)[(corner,) * (entries.ndim - 1)]
      for axis, places in enumerate(np.unravel_index(line, leaf_shape)):
        if np.any(places != places[0]):
          found[axis].add(role)
  return found


def axes(
  first: np.ndarray,
  last: np.ndarray,
  leaf_shape: tuple[int, ...],
  roles: tuple[str, ...],
) -> tuple[kernels.Axes | None, tuple[slice, ...]]:
  """The axes of a leaf, and the slice of it that a weight is.

  Args:
    first: the leaf's entries in the weight, in the first iteration.
    last: in the last.
    leaf_shape: the leaf's.
    roles: of each dimension of the weight: 'in', 'out', 'batch' or 'field'.

  Returns:
    Axes for any initializer, None where one axis of the leaf has two roles or
    an entry of it is used twice; and a slice an axis, () for all of the leaf.

  Examples:
    A `[4, 6]` leaf that is cut to `[4, 3]`, turned and multiplied:

    >>> leaf = np.arange(24).reshape(4, 6)
    >>> cut = leaf[:, 3:].T
    >>> axes(cut, cut, (4, 6), ('out', 'in'))
    ({'in_axis': (0,), 'out_axis': (1,), 'batch_axis': ()},
     (slice(0, 4, None), slice(3, 6, None)))
  """
  rank = len(leaf_shape)
  found = _roles_along(first, leaf_shape, roles)
  ends = [np.unravel_index(first.flat[end], leaf_shape) for end in (0, -1)]
  other = np.unravel_index(last.flat[0], leaf_shape)
  stacked = [axis for axis in range(rank) if other[axis] != ends[0][axis]]
  for axis in stacked:
    found[axis].add('batch')
  if any(len(each) > 1 for each in found):
    return None, ()
  low, high = np.min(ends, axis=0), np.max(ends, axis=0)
  part = tuple(
    slice(None)
    if axis in stacked
    else slice(int(low[axis]), int(high[axis]) + 1)
    for axis in range(rank)
  )
  size = math.prod(
    high[axis] - low[axis] + 1 for axis in range(rank) if axis not in stacked
  )
  if size != first.size:
    return None, ()
  named = [next(iter(each), None) for each in found]
  for role in ('in', 'out'):  # Axes of size 1 tell nothing of themselves.
    if role not in named and None in named:
      named[named.index(None)] = role
  pick = lambda role: tuple(a for a in range(rank) if named[a] == role)
  whole = all(
    axis in stacked or (low[axis] == 0 and high[axis] == leaf_shape[axis] - 1)
    for axis in range(rank)
  )
  return {
    'in_axis': pick('in'),
    'out_axis': pick('out'),
    'batch_axis': pick('batch'),
  }, () if whole else part
