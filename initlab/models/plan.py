"""What is to be measured of a program, at which of its operations."""

from typing import Any, NamedTuple

from initlab import kernels
from initlab.models import places
from initlab.models.program import Operation, Program


class Site(NamedTuple):
  """A site while the model is taken apart; see `places.Site`.

  number: of the place.
  kind, where, iterations: as there.
  x, w: which operand is the data, and which the weight.
  leaves: numbers of leaves.
  roles: of the weight's dimensions: 'in', 'out', 'batch' or 'field'.
  shape: of the weight.
  n_in, n_out: fans.
  units: dimensions of the output that index units.
  output: shape.
  stacked: see there.
  reads: variable that its input is a layout of.
  after: numbers of sites.
  axes, part: see there.
  """

  number: int
  kind: str
  where: str
  iterations: tuple[int, ...]
  x: int
  w: int
  leaves: tuple[int, ...]
  roles: tuple[str, ...]
  shape: tuple[int, ...]
  n_in: int
  n_out: int
  units: tuple[int, ...]
  output: tuple[int, ...]
  stacked: bool
  reads: int
  after: tuple[int, ...]
  axes: kernels.Axes | None
  part: tuple[slice, ...]


class Signal(NamedTuple):
  """The output of an operation that is a site's, with its bias.

  site: number.
  bias: the operand that is the bias; None without one.
  units: dimensions that index units.
  """

  site: int
  bias: int | None
  units: tuple[int, ...]


class Activation(NamedTuple):
  """A nonlinear function of one variable.

  number: of the place.
  sites: numbers of the sites before it.
  direct, gate: see `places.Activation`.
  iterations: lengths of the loops.
  operations: in order, of which `result` is the last one's output.
  source, result: variables.
  scalars: other variables that these need, all of whose entries are equal.
  constants: those of them that are numbers -> the number.
  units: dimensions of the source that index units.
  reduced: whether only sums of the result are used.
  label: what the program calls it.
  """

  number: int
  sites: tuple[int, ...]
  direct: bool
  gate: bool
  iterations: tuple[int, ...]
  operations: tuple[Operation, ...]
  source: int
  result: int
  scalars: tuple[int, ...]
  constants: dict[int, Any]
  units: tuple[int, ...]
  reduced: bool
  label: str


class Residual(NamedTuple):
  """An add whose operand `skip` the operand `branch` was computed from.

  number: of the place.
  skip, branch: which operand.
  sites: numbers of the last sites in the branch.
  iterations, shape, where: see `places.Residual`.
  """

  number: int
  skip: int
  branch: int
  sites: tuple[int, ...]
  iterations: tuple[int, ...]
  shape: tuple[int, ...]
  where: str


class Plan(NamedTuple):
  """A program with what is to be measured, at the operations that make it.

  program: of the model.
  sites, signals, residuals: operation -> the place.
  activations: the last operation of one -> the activation.
  biases: number of a site -> numbers of leaves added to its output.
  logits: numbers of sites whose outputs a softmax reads.
  whole: number of a site -> the leaf that is its weight, all of it or, in a
    loop, one row an iteration, and enters nothing else.
  roles: number of a leaf -> its role, see `places.Leaf`.
  opaque: what is not looked into, beside what the program says.
  """

  program: Program
  sites: dict[Operation, Site]
  signals: dict[Operation, Signal]
  residuals: dict[Operation, Residual]
  activations: dict[Operation, Activation]
  biases: dict[int, tuple[int, ...]]
  logits: frozenset[int]
  whole: dict[int, int]
  roles: dict[int, str]
  opaque: tuple[places.Opaque, ...]
