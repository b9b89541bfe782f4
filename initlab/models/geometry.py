"""Fans of a product, roles of its weight's dimensions, units of its output."""

import math
from typing import NamedTuple

import numpy as np

from initlab.models import internals
from initlab.models.program import Operation, Program


class Geometry(NamedTuple):
  """The shape of a site.

  roles: of the weight's dimensions: 'in', 'out', 'batch' or 'field'.
  n_in, n_out: fans.
  units: dimensions of the output that index units.
  """

  roles: tuple[str, ...]
  n_in: int
  n_out: int
  units: tuple[int, ...]


def of_site(
  operation: Operation, w: int, shape: tuple[int, ...], program: Program
) -> Geometry:
  """The geometry of a lookup, a convolution or a matrix product.

  Args:
    operation: the site's.
    w: which operand is the weight.
    shape: of the weight.
    program: of the operation.
  """
  output = program.types[operation.outputs[0]].shape
  if operation.name == 'gather':
    return _lookup(operation, shape, output)
  if operation.name == 'conv_general_dilated':
    return _convolution(operation, shape)
  return _product(operation, w, shape, len(output))


def _lookup(operation, shape, output) -> Geometry:
  numbers = operation.params['dimension_numbers']
  units = tuple(numbers.offset_dims)
  picked = numbers.start_index_map
  roles = tuple('in' if d in picked else 'out' for d in range(len(shape)))
  return Geometry(roles, 1, math.prod(output[d] for d in units), units)


def _convolution(operation, shape) -> Geometry:
  numbers = operation.params['dimension_numbers']
  out, into, *field = numbers.rhs_spec
  roles = ['field'] * len(shape)
  roles[out], roles[into] = 'out', 'in'
  positions = math.prod(shape[d] for d in field)
  n_out = positions * shape[out] // operation.params['feature_group_count']
  units = (numbers.out_spec[1],)
  return Geometry(tuple(roles), positions * shape[into], n_out, units)


class Windows(NamedTuple):
  """In how many windows of a convolution an entry of its data lies.

  counts: dimension of the data -> `[its size]`; an entry lies in as many
    windows as the product of its counts, one of each dimension.
  number: of windows, one an output of each group of channels.
  even: whether all entries are in equally many, and windows hold nothing else.
  """

  counts: dict[int, np.ndarray]
  number: int
  even: bool


def windows(operation: Operation) -> Windows:
  """The windows of a convolution in its data, the first operand."""
  params = operation.params
  numbers = params['dimension_numbers']
  lhs, rhs = map(internals.shape, operation.equation.invars)
  output = internals.shape(operation.equation.outvars[0])
  batch, _, *positions = (output[d] for d in numbers.out_spec)
  counts, even = {}, True
  for axis, size in enumerate(positions):
    dimension = numbers.lhs_spec[2 + axis]
    dilation, length = params['lhs_dilation'][axis], lhs[dimension]
    low, _ = params['padding'][axis]
    # [outputs, window] where in the data, which is as long with its dilation.
    start = params['window_strides'][axis] * np.arange(size) - low
    reach = np.arange(rhs[numbers.rhs_spec[2 + axis]])
    reach *= params['rhs_dilation'][axis]
    where = start[:, None] + reach
    inside = (where >= 0) & (where < dilation * length)
    inside &= where % dilation == 0
    found = np.bincount(where[inside] // dilation, minlength=length)
    counts[dimension] = found
    even &= bool(inside.all()) and len(set(found)) == 1
  groups = params['feature_group_count'] * params['batch_group_count']
  return Windows(counts, math.prod(positions) * batch * groups, even)


def _product(operation, w, shape, rank) -> Geometry:
  contracted, batch = (
    each[w] for each in operation.params['dimension_numbers']
  )
  roles = tuple(
    'in' if d in contracted else 'batch' if d in batch else 'out'
    for d in range(len(shape))
  )
  free = [d for d, role in enumerate(roles) if role == 'out']
  n_in, n_out = (
    math.prod(shape[d] for d in dims) for dims in (contracted, free)
  )
  # Outputs are: batch, the first operand's free dimensions, the second's.
  start = len(batch) if w == 0 else rank - len(free)
  units = (*range(len(batch)), *range(start, start + len(free)))
  return Geometry(roles, n_in, n_out, units)


def follow(
  operation: Operation,
  units: tuple[int, ...],
  before: tuple[int, ...],
  after: tuple[int, ...],
) -> tuple[int, ...]:
  """Where the dimensions that index units are after a change of layout."""
  if operation.name == 'transpose':
    permutation = operation.params['permutation']
    return tuple(d for d, old in enumerate(permutation) if old in units)
  if operation.name == 'broadcast_in_dim':
    places_of = operation.params['broadcast_dimensions']
    return tuple(places_of[d] for d in units if d < len(places_of))
  if before == after:
    return units
  # Dimensions of equal products are the same, folded in another way.
  found, i, j = [], 0, 0
  while i < len(before) or j < len(after):
    old, new, a, b = [], [], 1, 1
    while True:
      if a <= b and i < len(before) and (a < b or not old):
        old.append(i)
        a *= before[i]
        i += 1
      elif j < len(after) and (b < a or not new):
        new.append(j)
        b *= after[j]
        j += 1
      else:
        break
    if any(d in units and before[d] > 1 for d in old):
      found += new
  return tuple(found)
