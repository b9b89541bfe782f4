"""Runs a model with its places measured: forward by taps, backward by sinks.

What a place carries is reduced where it is: a program with these measurements
keeps no array that the model's own gradient does not. Backward, a *sink* takes
the statistics: the identity, whose rule of derivation returns the moments of
the cotangent as the cotangent of a dummy argument, which in a loop is one a
step. What is known of a leaf is not measured again at the site that it is the
weight of, and what single numbers give is computed in the end, in `results`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base
from initlab.models import (
  internals,
  moments,
  program as programs,
  readings,
)
from initlab.models.moments import Moments
from initlab.models.plan import Plan, Residual
from initlab.models.program import Checkpoint, Operation, Program
from initlab.models.values import Values, windows_of

# Number of a place -> what is kept there: [] or, of a loop, [iterations].
Stats = dict[int, dict[str, Any]]


def sinks(plan: Plan) -> dict[str, dict[int, Moments]]:
  """Zeros, one of each a site and iteration, of outputs and of weights."""
  found = plan.sites.values()
  weighed = (each for each in found if each.kind != 'product')
  return {
    'output': {s.number: moments.zeros(s.iterations, True) for s in found},
    'weight': {
      s.number: moments.zeros(s.iterations, False)
      for s in weighed
      if s.number not in plan.whole
    },
  }


class Measurement(NamedTuple):
  """What one initialization is found to do.

  output: the model's, its first floating-point leaf.
  stats: of the places.
  backward: number of a site -> moments `[*iterations]` of dC/ds; the size of
    its weight's gradient likewise, unless its weight is a whole leaf.
  gradients: dC/dw, one a floating-point leaf.
  leaves: of each of these.
  even_loss: the loss if the last site gave zeros.
  """

  output: jax.Array
  stats: Stats
  backward: dict[str, dict[int, Moments]]
  gradients: list[jax.Array]
  leaves: list[dict[str, Any]]
  even_loss: jax.Array


def measure(
  plan: Plan,
  steepest: Mapping[int, float],
  leaves: Sequence[jax.Array],
  rest: Sequence[Any],
  output: int,
  cotangent: base.Key | None,
) -> Measurement:
  """Runs a model up and down.

  Args:
    plan: of the model.
    steepest: number of an activation -> sup |f'|; others are not measured.
    leaves: the floating-point inputs that are differentiated.
    rest: None in the places of `leaves` among the inputs, and the others.
    output: which of the program's outputs is the model's.
    cotangent: the key of a standard normal cotangent; None for a loss.
  """
  run = _Run(plan, steepest)
  program = plan.program

  def forward(taken, leaves):
    given = iter(leaves)
    values = [next(given) if each is None else each for each in rest]
    stats: Stats = {}
    known = run.program(program, values, taken, stats)
    found = known.read(program.outputs[output])
    if cotangent is None:
      loss, even = found, _even(plan, known, output)
    else:
      wide = found.astype(jnp.float32)
      loss = jnp.sum(wide * jax.random.normal(cotangent, found.shape))
      even = jnp.full((), jnp.nan)
    return loss.astype(jnp.float32), (found, stats, even)

  (backward, gradients), (found, stats, even) = jax.grad(
    forward, argnums=(0, 1), has_aux=True
  )(sinks(plan), list(leaves))
  numbers = (number for number, each in enumerate(rest) if each is None)
  layered = {
    plan.whole[site.number]
    for site in plan.sites.values()
    if site.number in plan.whole and site.iterations
  }
  own: list[dict[str, Any]] = [
    moments.of_leaf(leaf, gradient, number in layered)
    for number, leaf, gradient in zip(numbers, leaves, gradients, strict=True)
  ]
  return Measurement(found, stats, backward, gradients, own, even)


def _even(plan: Plan, known: Values, output: int) -> jax.Array:
  """The loss if the last site outside of loops gave zeros; NaN without one."""
  program = plan.program
  signals = [
    operation
    for operation in program.flat()
    if operation in plan.signals and operation.outputs[0] in known.arrays
  ]
  if not signals:
    return jnp.full((), jnp.nan)
  last = signals[-1]
  (signal,) = last.outputs
  even = Values(known.arrays, {})
  even.assign(last.outputs, [jnp.zeros_like(known.read(signal))])
  changed = {signal}
  for operation in program.flat():
    if operation is not last and changed.intersection(
      programs.variables(operation)
    ):
      outputs = operation.bind([even.read(x) for x in operation.inputs])
      even.assign(operation.outputs, outputs)
      changed.update(operation.outputs)
  result = program.outputs[output]
  return even.read(result) if result in changed else jnp.full((), jnp.nan)


class _Run:
  """Evaluates the programs of a plan, and measures its places."""

  def __init__(self, plan: Plan, steepest: Mapping[int, float]):
    self.plan = plan
    self.steepest = steepest
    self.windows = windows_of(plan)

  def program(
    self, program: Program, values: Sequence[Any], taken: Any, stats: Stats
  ) -> Values:
    """All variables outside of checkpoints; adds to what was measured."""
    known = Values(program.constants, self.windows)
    known.assign(program.inputs, values)
    self._operations(program, program.operations, known, taken, stats)
    return known

  def _operations(self, program, operations, known, taken, stats) -> None:
    for each in operations:
      if isinstance(each, Checkpoint):
        self._checkpoint(program, each, known, taken, stats)
      else:
        self._operation(program, each, known, taken, stats)

  def _checkpoint(self, program, block, known, taken, stats) -> None:
    """Evaluates operations that are to be done again on the way back."""
    inside = set(programs.flat(block.operations))
    made = {variable for op in inside for variable in op.outputs}
    needed = {variable for op in inside for variable in self._needs(op)} - made
    kept = made.intersection(program.outputs)
    for operation in program.flat():
      if operation not in inside:
        kept |= made.intersection(self._needs(operation))

    def run(arrays, taken):
      own, found = Values(arrays, self.windows), {}
      self._operations(program, block.operations, own, taken, found)
      return {variable: own.arrays[variable] for variable in kept}, found

    run = jax.checkpoint(run, **block.options)
    arrays = {variable: known.arrays[variable] for variable in needed}
    outputs, found = run(arrays, taken)
    known.assign(list(outputs), list(outputs.values()))
    stats.update(found)

  def _needs(self, operation: Operation) -> list[int]:
    """The variables that an operation and what is measured at it take."""
    needed = programs.variables(operation)
    activation = self.plan.activations.get(operation)
    if activation is not None:
      needed += [activation.source, *activation.scalars]
    return needed

  def _operation(self, program, operation, known, taken, stats) -> None:
    """Evaluates one operation and measures what is there."""
    operands = [known.read(each) for each in operation.inputs]
    site = self.plan.sites.get(operation)
    if site is not None and site.number in taken['weight']:
      sink = taken['weight'][site.number]
      operands[site.w] = moments.sink_of_size(operands[site.w], sink)
    if operation.name == 'scan' and operation.bodies:
      outputs = self._scan(program, operation, operands, taken, stats)
    elif operation.name == 'cond' and operation.bodies:
      outputs = self._cond(operation, operands, taken, stats)
    else:
      outputs = operation.bind(operands)
    if site is not None:
      outputs[0] = moments.sink(outputs[0], taken['output'][site.number])
    known.assign(operation.outputs, outputs)
    self._measure(operation, known, stats)

  def _measure(self, operation: Operation, known: Values, stats: Stats):
    """Adds what the places at an operation show."""
    site = self.plan.sites.get(operation)
    if site is not None:
      whole = site.number in self.plan.whole
      stats[site.number] = readings.of_site(site, operation, known, whole)
    signal = self.plan.signals.get(operation)
    if signal is not None:
      found = readings.of_signal(signal, operation, known)
      stats[signal.site] = stats.get(signal.site, {}) | found
    residual = self.plan.residuals.get(operation)
    if residual is not None:
      units = self._units(residual)
      stats[residual.number] = readings.of_residual(
        residual, operation, known, units
      )
    activation = self.plan.activations.get(operation)
    if activation is not None and activation.number in self.steepest:
      steepest = self.steepest[activation.number]
      stats[activation.number] = readings.of_activation(
        activation, known, steepest
      )

  def _units(self, residual: Residual) -> tuple[int, ...]:
    """Dimensions of a residual add that index units; () if that is unknown."""
    for site in self.plan.sites.values():
      if site.number in residual.sites and site.output == residual.shape:
        return site.units
    return ()

  def _scan(self, program, operation, operands, taken, stats) -> list[Any]:
    """A loop whose body is looked into."""
    (body,) = operation.bodies
    constant, carried = programs.split_scan(program, operation)
    first = constant + carried
    fixed, cut = operands[:constant], operands[first:]
    inside = {
      self.plan.sites[each].number
      for each in programs.deep(body)
      if each in self.plan.sites
    }
    own = {
      kind: {number: sink for number, sink in each.items() if number in inside}
      for kind, each in taken.items()
    }

    def step(carry, slices):
      values, taken = slices
      found: Stats = {}
      known = self.program(body, [*fixed, *carry, *values], taken, found)
      outputs = [known.read(each) for each in body.outputs]
      return outputs[:carried], (outputs[carried:], found)

    options = internals.scan_options(operation.params)
    carry, (made, found) = jax.lax.scan(
      step, operands[constant:first], (cut, own), **options
    )
    stats.update(found)
    return [*carry, *made]

  def _cond(self, operation, operands, taken, stats) -> list[Any]:
    """A branch; what is in the other branches is NaN."""
    index, *values = operands

    def run(body: Program):
      def branch(*values):
        found: Stats = {}
        known = self.program(body, values, taken, found)
        return [known.read(each) for each in body.outputs], found

      return branch

    branches = [run(body) for body in operation.bodies]
    blank = {
      number: jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), each)
      for branch in branches
      for number, each in jax.eval_shape(branch, *values)[1].items()
    }

    def filled(branch):
      def all_places(*values):
        outputs, found = branch(*values)
        return outputs, blank | found

      return all_places

    outputs, found = jax.lax.switch(index, list(map(filled, branches)), *values)
    stats.update(found)
    return outputs
