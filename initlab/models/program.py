"""The program of a model in a flat form of its own.

`trace` turns what `jax.make_jaxpr` finds into a `Program`: operations on
numbered variables, each assigned once. A call is replaced by its operations if
these include one with a weight, so that a function which is called twice is two
places; the bodies of such loops and branches are programs, too. Calls without a
weight stay calls, with the derivatives that their authors gave them. What no
output needs, as what a Flax module records for others, is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import dataclasses
import itertools
from typing import Any

import jax
from jax.extend import core as jaxprs
import jax.numpy as jnp

from initlab.models import internals, places

# Operations that multiply matrices, and those that a weight may enter.
PRODUCTS = (
  'dot_general',
  'conv_general_dilated',
  'ragged_dot',
  'ragged_dot_general',
)
_WEIGHED = (*PRODUCTS, 'gather')


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
  """A number written into the program, in the place of a variable."""

  value: Any


Operand = int | Constant


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
  """One operation.

  name: of its primitive: 'dot_general', 'add', 'scan'...
  equation: of the jaxpr, which holds its parameters.
  inputs: variables or constants.
  outputs: variables.
  where: name stack.
  bodies: of a loop or branch that is looked into: one program, or one a branch.
  """

  name: str
  equation: jaxprs.JaxprEqn
  inputs: tuple[Operand, ...]
  outputs: tuple[int, ...]
  where: str
  bodies: tuple['Program', ...] = ()

  @property
  def params(self) -> dict[str, Any]:
    """The parameters of the primitive."""
    return self.equation.params

  def bind(self, operands: Sequence[Any]) -> list[jax.Array]:
    """Its outputs for these operands."""
    return internals.bind(self.equation.primitive, self.params, operands)


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
  """Operations whose results are computed again on the way back.

  operations: in order.
  options: of `jax.checkpoint`.
  """

  operations: tuple['Operation | Checkpoint', ...]
  options: dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
  """Operations in order, from inputs to outputs.

  constants: variable -> its array.
  inputs: variables.
  operations: in order, each variable assigned before it is used.
  outputs: variables or constants.
  types: variable -> its shape and dtype.
  """

  constants: dict[int, Any]
  inputs: tuple[int, ...]
  operations: tuple[Operation | Checkpoint, ...]
  outputs: tuple[Operand, ...]
  types: dict[int, Any]

  def flat(self) -> Iterator[Operation]:
    """The operations, those within checkpoints included."""
    return flat(self.operations)

  def type_of(self, operand: Operand) -> Any:
    """Shape and dtype of a variable or a constant."""
    if isinstance(operand, Constant):
      return jax.typeof(operand.value)
    return self.types[operand]


def flat(operations: Sequence[Operation | Checkpoint]) -> Iterator[Operation]:
  """The operations, those within checkpoints included."""
  for each in operations:
    if isinstance(each, Checkpoint):
      yield from flat(each.operations)
    else:
      yield each


def deep(program: Program) -> Iterator[Operation]:
  """All operations, with those of the bodies of loops and of branches."""
  for operation in program.flat():
    yield operation
    for body in operation.bodies:
      yield from deep(body)


def variables(operation: Operation) -> list[int]:
  """The operands that are variables."""
  return [each for each in operation.inputs if not isinstance(each, Constant)]


def is_real(type_: Any) -> bool:
  """Whether a variable of this type holds floating-point numbers."""
  return jnp.issubdtype(type_.dtype, jnp.floating)


def makers(program: Program) -> dict[int, Operation]:
  """Variable -> the operation that makes it."""
  return {
    output: operation
    for operation in program.flat()
    for output in operation.outputs
  }


def comes_from(
  variable: Operand, ancestor: int, makers: Mapping[int, Operation]
) -> bool:
  """Whether a variable is, or is computed from, another."""
  return ancestor in ancestors([variable], makers)


def ancestors(
  variables: Iterable[Operand], makers: Mapping[int, Operation]
) -> set[int]:
  """All that some variables are computed from, themselves included."""
  waiting, seen = list(variables), set()
  while waiting:
    each = waiting.pop()
    if isinstance(each, Constant) or each in seen:
      continue
    seen.add(each)
    if each in makers:
      waiting.extend(makers[each].inputs)
  return seen


def split_scan(program: Program, scan: Operation) -> tuple[int, int]:
  """How many operands of a scan are constant, and how many are carried.

  Told from ranks alone: what is scanned over loses its first axis, and what is
  carried does not gain one. JAX 0.11 renamed the parameters that say so.
  """
  (body,) = scan.bodies
  rank = lambda each: len(each.shape)
  carried = sum(
    rank(program.types[outer]) == rank(body.type_of(inner))
    for outer, inner in zip(scan.outputs, body.outputs, strict=True)
  )
  scanned = sum(
    rank(program.type_of(outer)) > rank(body.types[inner])
    for outer, inner in zip(scan.inputs, body.inputs, strict=True)
  )
  return len(body.inputs) - carried - scanned, carried


def trace(
  function: Callable[..., Any], *args: Any
) -> tuple[Program, tuple[places.Opaque, ...], Any]:
  """The program of a function of arrays.

  Args:
    function: `(*args) -> pytree`.
    *args: pytrees of arrays, or of their shapes and dtypes.

  Returns:
    The program, whose inputs are the leaves of `args`; what it does not look
    into; and the pytree of shapes and dtypes of its outputs.
  """
  jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
  builder = _Builder()
  return builder.program(internals.closed(jaxpr), ''), builder.opaque(), shapes


class _Builder:
  """Makes programs of jaxprs; every variable of all of them has a number."""

  def __init__(self):
    self._numbers = itertools.count()
    self._weighed: dict[jaxprs.Jaxpr, bool] = {}
    self._opaque: list[places.Opaque] = []

  def opaque(self) -> tuple[places.Opaque, ...]:
    """What was met that no program looks into."""
    return tuple(self._opaque)

  def program(self, closed: jaxprs.ClosedJaxpr, where: str) -> Program:
    """The program of a jaxpr."""
    scope = _Scope(self._numbers)
    scope.define(closed.jaxpr.constvars, closed.consts)
    inputs = scope.assign(closed.jaxpr.invars)
    operations = self._operations(closed.jaxpr, scope, where)
    outputs = tuple(map(scope.read, closed.jaxpr.outvars))
    needed = {each for each in outputs if not isinstance(each, Constant)}
    operations = _needed(operations, needed)
    return Program(scope.constants, inputs, operations, outputs, scope.types)

  def _operations(
    self, jaxpr: jaxprs.Jaxpr, scope: '_Scope', outer: str
  ) -> list[Operation | Checkpoint]:
    operations = []
    for equation in jaxpr.eqns:
      name = equation.primitive.name
      where = '/'.join(filter(None, [outer, internals.name_stack(equation)]))
      body = internals.called(equation)
      if body is not None and self._is_weighed(body.jaxpr):
        self._note_rule(equation, where)
        inner = self._inlined(equation, body, scope, where)
        if name in internals.CHECKPOINTS:
          options = internals.checkpoint_options(equation.params)
          operations.append(Checkpoint(tuple(inner), options))
        else:
          operations += inner
        continue
      inputs = tuple(map(scope.read, equation.invars))
      bodies = self._bodies(equation, where)
      if not bodies:
        self._note_products(equation, where)
      outputs = scope.assign(equation.outvars)
      operations.append(
        Operation(name, equation, inputs, outputs, where, bodies)
      )
    return operations

  def _inlined(self, equation, body, scope, where):
    """The operations of a call, in the variables of who calls."""
    inner = scope.within()
    inner.define(body.jaxpr.constvars, body.consts)
    operands = equation.invars[len(equation.invars) - len(body.jaxpr.invars) :]
    for variable, operand in zip(body.jaxpr.invars, operands, strict=True):
      inner.let(variable, scope.read(operand))
    operations = self._operations(body.jaxpr, inner, where)
    for variable, result in zip(
      equation.outvars, body.jaxpr.outvars, strict=True
    ):
      scope.let(variable, inner.read(result))
    return operations

  def _bodies(self, equation, where) -> tuple[Program, ...]:
    """The programs of a scan or of the branches of a cond with weights."""
    name = equation.primitive.name
    if name == 'scan':
      found = [equation.params['jaxpr']]
    elif name == 'cond':
      found = equation.params['branches']
    else:
      return ()
    bodies = [internals.closed(each) for each in found]
    if not any(self._is_weighed(body.jaxpr) for body in bodies):
      return ()
    return tuple(self.program(body, where) for body in bodies)

  def _is_weighed(self, jaxpr: jaxprs.Jaxpr) -> bool:
    """Whether a weight may meet data in it."""
    if jaxpr not in self._weighed:
      self._weighed[jaxpr] = any(
        equation.primitive.name in _WEIGHED
        or any(map(self._is_weighed, internals.inside(equation)))
        for equation in jaxpr.eqns
      )
    return self._weighed[jaxpr]

  def _note_rule(self, equation, where):
    name, products = equation.primitive.name, _products_inside(equation)
    if name in internals.CUSTOM and products:
      why = 'gradients are those of its forward pass, not of its own rule'
      self._opaque.append(places.Opaque(name, where, products, why))

  def _note_products(self, equation, where):
    name = equation.primitive.name
    products = _products_inside(equation)
    if name.startswith('ragged_dot'):
      products = 1
    elif name == 'ffi_call':
      name = str(equation.params.get('target_name', name))
    elif not products:
      return
    why = 'what is inside is not audited'
    self._opaque.append(places.Opaque(name, where, products, why))


def _needed(
  operations: Sequence[Operation | Checkpoint], needed: set[int]
) -> tuple[Operation | Checkpoint, ...]:
  """The operations that variables are computed by; those are added to."""
  kept: list[Operation | Checkpoint] = []
  for each in reversed(operations):
    if isinstance(each, Checkpoint):
      inner = _needed(each.operations, needed)
      if inner:
        kept.append(Checkpoint(inner, each.options))
    elif needed.intersection(each.outputs):
      needed.update(variables(each))
      kept.append(each)
  return tuple(reversed(kept))


def _products_inside(equation: jaxprs.JaxprEqn) -> int:
  return sum(
    name in PRODUCTS
    for jaxpr in internals.inside(equation)
    for name in internals.primitives(jaxpr)
  )


class _Scope:
  """What the variables of one jaxpr are called in a program."""

  def __init__(self, numbers, constants=None, types=None):
    self._numbers = numbers
    self._names: dict[jaxprs.Var, Operand] = {}
    self.constants: dict[int, Any] = {} if constants is None else constants
    self.types: dict[int, Any] = {} if types is None else types

  def within(self) -> '_Scope':
    """The scope of a jaxpr that becomes part of the same program."""
    return _Scope(self._numbers, self.constants, self.types)

  def assign(self, variables) -> tuple[int, ...]:
    """New numbers for variables."""
    return tuple(map(self._assign, variables))

  def define(self, variables, values) -> None:
    """New numbers for constants."""
    for variable, value in zip(variables, values, strict=True):
      self.constants[self._assign(variable)] = value

  def let(self, variable: jaxprs.Var, operand: Operand) -> None:
    """Makes a variable a name of what there is already."""
    if isinstance(operand, Constant):
      self.constants[self._assign(variable)] = operand.value
    else:
      self._names[variable] = operand

  def read(self, atom: Any) -> Operand:
    """What an operand of an equation is in the program."""
    if internals.is_literal(atom):
      return Constant(internals.literal(atom))
    return self._names[atom]

  def _assign(self, variable: jaxprs.Var) -> int:
    number = next(self._numbers)
    self._names[variable] = number
    self.types[number] = variable.aval
    return number
