"""Runs a model's program and looks at, or changes, what its operations make."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.models import internals, program as programs
from initlab.models.program import Constant, Operation, Program

# `(operation, operands, output) -> (output, kept)`: what takes the place of the
# first output, and what is kept of it, by names or numbers. Nothing is kept of
# most operations: `(output, {})`.
Kept = dict[Any, Any]
Tap = Callable[[Operation, list[Any], Any], tuple[Any, Kept]]


def run(
  program: Program, inputs: Sequence[Any], tap: Tap
) -> tuple[list[Any], Kept]:
  """Evaluates a program.

  Args:
    program: of a model, see `program.trace`.
    inputs: arrays, one an input.
    tap: it is called after every operation but loops and branches, which are
      looked into.

  Returns:
    The outputs, and what the tap kept: in a loop with a leading axis of
    iterations; in a branch that is not taken NaN.
  """
  known = dict(program.constants)
  known |= zip(program.inputs, inputs, strict=True)
  read = lambda each: each.value if isinstance(each, Constant) else known[each]
  kept: Kept = {}
  for operation in program.flat():
    operands = [read(each) for each in operation.inputs]
    if operation.name == 'scan' and operation.bodies:
      outputs, found = _scan(program, operation, operands, tap)
    elif operation.name == 'cond' and operation.bodies:
      outputs, found = _cond(operation, operands, tap)
    else:
      outputs = operation.bind(operands)
      outputs[0], found = tap(operation, operands, outputs[0])
    kept |= found
    known |= zip(operation.outputs, outputs, strict=True)
  return [read(each) for each in program.outputs], kept


def _scan(
  program: Program, operation: Operation, operands: list[Any], tap: Tap
) -> tuple[list[Any], Kept]:
  (body,) = operation.bodies
  constants, carried = programs.split_scan(program, operation)
  fixed = operands[:constants]
  start = operands[constants : constants + carried]

  def step(carry: list[Any], slices: list[Any]) -> tuple[Any, Any]:
    outputs, kept = run(body, [*fixed, *carry, *slices], tap)
    return outputs[:carried], (outputs[carried:], kept)

  end, (made, kept) = jax.lax.scan(
    step,
    start,
    operands[constants + carried :],
    **internals.scan_options(operation.params),
  )
  return [*end, *made], kept


def _cond(
  operation: Operation, operands: list[Any], tap: Tap
) -> tuple[list[Any], Kept]:
  index, *values = operands
  branches = [
    lambda *values, body=body: run(body, values, tap)
    for body in operation.bodies
  ]
  blank: Kept = {}
  for branch in branches:
    _, shapes = jax.eval_shape(branch, *values)
    blank |= jax.tree.map(_nan, shapes)

  def filled(branch: Callable[..., Any]) -> Callable[..., Any]:
    def with_all(*values: Any) -> Any:
      outputs, kept = branch(*values)
      return outputs, blank | kept

    return with_all

  return jax.lax.switch(index, [filled(each) for each in branches], *values)


def _nan(shape: jax.ShapeDtypeStruct) -> jax.Array:
  return jnp.full(shape.shape, jnp.nan, shape.dtype)


def inputs(
  params: Any, batch: Mapping[str, Any] | tuple[Any, ...]
) -> list[Any]:
  """The inputs of a program that was traced with these params and batch."""
  return [*jax.tree.leaves(params), *jax.tree.leaves(batch)]
