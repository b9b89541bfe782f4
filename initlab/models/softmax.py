"""Finds what a softmax reads, in a program or in a call that it makes."""

from collections.abc import Mapping

from initlab.models import internals, program as programs
from initlab.models.program import Operation


def logits(operation: Operation, makers: Mapping[int, Operation]) -> list[int]:
  """The variables of which an operation takes a softmax, or its logarithm.

  A softmax takes the exponential of logits less the largest of them. A call has
  both inside; of these, all operands are taken for logits.

  Args:
    operation: any.
    makers: variable -> the operation of the same program that makes it.
  """
  read = programs.variables(operation)
  body = internals.called(operation.equation)
  if body is not None:
    names = set(internals.primitives(body.jaxpr))
    return read if {'exp', 'reduce_max'} <= names else []
  if operation.name != 'exp' or not read or read[0] not in makers:
    return []
  difference = makers[read[0]]
  if difference.name != 'sub':
    return []
  minuend, largest = difference.inputs
  found = programs.ancestors([largest], makers)
  between = found - programs.ancestors([minuend], makers)
  names = {makers[each].name for each in between if each in makers}
  return [minuend] if minuend in found and 'reduce_max' in names else []
