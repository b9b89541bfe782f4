"""Activations: elementwise operations that one variable enters and one leaves.

So hand-written functions are found like named ones. Operations belong together
that depend on one variable, their source, and otherwise on numbers; what the
operations outside take of them has to be a single variable, the result. Where
they take more, as of a statistic beside the activation, each part that a single
variable leaves is an activation. The source has to come from a site, perhaps
normalized, cut or summed with others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from initlab.models import elementwise, entries, internals, program as programs
from initlab.models.origins import Origin
from initlab.models.plan import Activation
from initlab.models.program import Constant, Operand, Operation, Program

_SUMS = ('reduce_', 'argm', 'cum')


def find(
  scope: entries.Scope,
  known: Mapping[int, Origin],
  ends: Iterable[Operation],
  needed: Iterable[Operand],
  iterations: tuple[int, ...],
) -> dict[Operation, Activation]:
  """The activations of a program, at their last operations.

  Args:
    scope: of the program.
    known: the origins of its variables.
    ends: operations that belong to no activation: biases and residual adds.
    needed: variables of which one has to depend on an activation: what sites
      take, and what the program shows.
    iterations: lengths of the loops that the program is in.
  """
  program, ends = scope.program, frozenset(ends)
  shown = {each for each in program.outputs if not isinstance(each, Constant)}
  users = _users(program, programs.ancestors(shown, scope.makers))
  leading = programs.ancestors(needed, scope.makers)
  found = {}
  for source, operations in _parts(_cones(program, known, ends), users, shown):
    result = operations[-1].outputs[0]
    if result not in leading or not programs.is_real(program.types[result]):
      continue
    if not known[source].carries:
      continue
    after = users.get(result, [])
    reduced = bool(after) and all(op.name.startswith(_SUMS) for op in after)
    if reduced and not set(operations).issuperset(users[source]):
      continue
    scalars = _scalars(operations, source)
    numbers = {each: _number(each, scope) for each in scalars}
    found[operations[-1]] = Activation(
      number=-1,
      sites=tuple(sorted(known[source].carries)),
      direct=known[source].tag is not None,
      gate=any(_multiplies(operation, result, known) for operation in after),
      iterations=iterations,
      operations=operations,
      source=source,
      result=result,
      scalars=scalars,
      constants={x: n for x, n in numbers.items() if n is not None},
      units=known[source].units,
      reduced=reduced,
      label=_label(operations),
    )
  return found


def _users(program: Program, alive: set[int]) -> dict[int, list[Operation]]:
  """Variable -> the operations that take it and that the outputs depend on."""
  users: dict[int, list[Operation]] = {}
  for operation in program.flat():
    if alive.isdisjoint(operation.outputs):
      continue
    for operand in programs.variables(operation):
      users.setdefault(operand, []).append(operation)
  return users


def _parts(
  cones: Mapping[int, Sequence[Operation]],
  users: Mapping[int, Sequence[Operation]],
  shown: set[int],
) -> Iterator[tuple[int, tuple[Operation, ...]]]:
  """The largest parts of cones that one variable leaves, with their sources.

  A part is an operation with all that it depends on up to the source. So a
  statistic that is taken of the source, or of the result, is none of the
  activation. Of parts that contain each other, the largest counts.
  """
  for source, cone in cones.items():
    before: dict[int, frozenset[Operation]] = {}
    parts: list[frozenset[Operation]] = []
    for operation in cone:
      made = programs.variables(operation)
      inner = frozenset().union(*(before[x] for x in made if x in before))
      part = inner | {operation}
      (result,) = operation.outputs
      before[result] = part
      leave = (
        x in shown or not part.issuperset(users.get(x, ()))
        for op in inner
        for x in op.outputs
      )
      if not any(leave):
        parts = [each for each in parts if not each < part] + [part]
    for part in parts:
      yield source, tuple(op for op in cone if op in part)


def _cones(
  program: Program, known: Mapping[int, Origin], ends: frozenset[Operation]
) -> dict[int, list[Operation]]:
  """Source -> the elementwise operations of it alone, in order."""
  sources: dict[int, int] = {}
  cones: dict[int, list[Operation]] = {}
  for operation in program.flat():
    if operation in ends or not elementwise.is_elementwise(operation):
      continue
    data = {
      sources.get(each, each)
      for each in programs.variables(operation)
      if known[each].data
    }
    if len(data) != 1 or not _others_are_numbers(operation, known):
      continue
    (source,) = data
    (output,) = operation.outputs
    if program.types[source].shape == program.types[output].shape:
      sources[output] = source
      cones.setdefault(source, []).append(operation)
  return cones


def _others_are_numbers(
  operation: Operation, known: Mapping[int, Origin]
) -> bool:
  return all(
    np.ndim(each.value) == 0
    if isinstance(each, Constant)
    else known[each].data or known[each].uniform
    for each in operation.inputs
  )


def _multiplies(
  operation: Operation, result: int, known: Mapping[int, Origin]
) -> bool:
  """Whether it multiplies the result with something else of a site."""
  others = [each for each in programs.variables(operation) if each != result]
  is_signal = lambda origin: origin.data and origin.last
  return operation.name == 'mul' and any(is_signal(known[x]) for x in others)


def _scalars(operations: Sequence[Operation], source: int) -> tuple[int, ...]:
  """What operations take beside their source and each other's results."""
  made = {op.outputs[0] for op in operations} | {source}
  taken = {each for op in operations for each in programs.variables(op)}
  return tuple(sorted(taken - made))


def _number(operand: Operand, scope: entries.Scope) -> Any:
  """The number that all entries of a variable are; None if it is not known."""
  if isinstance(operand, Constant):
    return operand.value
  if operand in scope.program.constants:
    return scope.program.constants[operand]
  maker = scope.makers.get(operand)
  if maker is None or not maker.inputs:
    return None
  values = [_number(each, scope) for each in maker.inputs]
  if any(value is None for value in values):
    return None
  return elementwise.evaluate(maker.equation, values)[0]


def _label(operations: Sequence[Operation]) -> str:
  """The function that operations are a call of; else their names."""
  called = next(filter(None, map(_called, operations)), '')
  names = (op.name for op in operations if op.name not in elementwise.LAYOUT)
  return called or '+'.join(names)


def _called(operation: Operation) -> str:
  """What the function is called that an operation is a call of."""
  own = internals.function_name(operation.equation)
  if own and own not in ('_where', 'where'):
    return own
  body = internals.called(operation.equation)
  found = map(internals.function_name, body.jaxpr.eqns) if body else ()
  return next((n for n in found if n and n not in ('_where', 'where')), '')
