"""Runs a model with its places measured: forward by taps, backward by sinks.

What a place carries is reduced where it is: a program with these measurements
keeps no array that the model's own gradient does not. Backward, a *sink* takes
the statistics: the identity, whose rule of derivation returns the moments of
the cotangent as the cotangent of a dummy argument, which in a loop is one a
step. What is known of a leaf is not measured again at the site that it is the
weight of, and what single numbers give is computed in the end, in `results`.
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import activations, base
from initlab.models import internals, moments, program as programs
from initlab.models.moments import Moments
from initlab.models.plan import Activation, Plan, Residual, Signal, Site
from initlab.models.program import (
  Checkpoint,
  Constant,
  Operand,
  Operation,
  Program,
)

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
      cost, even = found, _even(plan, known, output)
    else:
      wide = found.astype(jnp.float32)
      cost = jnp.sum(wide * jax.random.normal(cotangent, found.shape))
      even = jnp.full((), jnp.nan)
    return cost.astype(jnp.float32), (found, stats, even)

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


def _even(plan: Plan, known: '_Values', output: int) -> jax.Array:
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
  even = _Values(known.arrays)
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


class _Values:
  """The arrays that variables stand for, and their moments, computed once."""

  def __init__(self, arrays: Mapping[int, Any]):
    self.arrays = dict(arrays)
    self._moments: dict[Operand, Moments] = {}
    self._sizes: dict[Operand, Moments] = {}

  def read(self, operand: Operand) -> Any:
    """The array of a variable, or a constant."""
    if isinstance(operand, Constant):
      return operand.value
    return self.arrays[operand]

  def assign(self, variables: Sequence[int], values: Sequence[Any]) -> None:
    """Gives variables their arrays."""
    self.arrays.update(zip(variables, values, strict=True))

  def still(self, operand: Operand) -> jax.Array:
    """The array, to be measured: nothing is differentiated by it."""
    return jax.lax.stop_gradient(self.read(operand))

  def moments(self, operand: Operand) -> Moments:
    """Root mean square and mean over all entries."""
    if operand not in self._moments:
      self._moments[operand] = moments.of(self.still(operand))
    return self._moments[operand]

  def size(self, operand: Operand) -> Moments:
    """The root mean square alone."""
    if operand in self._moments:
      return self._moments[operand]._replace(mean=None)
    if operand not in self._sizes:
      self._sizes[operand] = moments.size_of(self.still(operand))
    return self._sizes[operand]


class _Run:
  """Evaluates the programs of a plan, and measures its places."""

  def __init__(self, plan: Plan, steepest: Mapping[int, float]):
    self.plan = plan
    self.steepest = steepest

  def program(
    self, program: Program, values: Sequence[Any], taken: Any, stats: Stats
  ) -> _Values:
    """All variables outside of checkpoints; adds to what was measured."""
    known = _Values(program.constants)
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
      own, found = _Values(arrays), {}
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

  def _measure(self, operation: Operation, known: _Values, stats: Stats):
    """Adds what the places at an operation show."""
    site = self.plan.sites.get(operation)
    if site is not None:
      whole = site.number in self.plan.whole
      stats[site.number] = _site(site, operation, known, whole)
    signal = self.plan.signals.get(operation)
    if signal is not None:
      found = _signal(signal, operation, known)
      stats[signal.site] = stats.get(signal.site, {}) | found
    residual = self.plan.residuals.get(operation)
    if residual is not None:
      units = self._units(residual)
      stats[residual.number] = _residual(residual, operation, known, units)
    activation = self.plan.activations.get(operation)
    if activation is not None and activation.number in self.steepest:
      steepest = self.steepest[activation.number]
      stats[activation.number] = _activation(activation, known, steepest)

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


def _site(
  site: Site, operation: Operation, known: _Values, whole: bool
) -> dict[str, Any]:
  """Of a site's operands; of a weight that is a whole leaf, nothing."""
  x = operation.inputs[site.x]
  found: dict[str, Any] = {}
  if site.kind != 'lookup':
    found['input'] = known.size(x)
  if site.kind == 'convolution':
    found['convolved'] = _convolved(operation, site, known.still(x))
  if site.kind != 'product' and not whole:
    found['weight'] = moments.spread(known.still(operation.inputs[site.w]))
  return found


def _convolved(operation: Operation, site: Site, x: jax.Array) -> tuple:
  """max |x|, and the mean of (x / max |x|)^2 convolved with ones.

  At one output a group.
  """
  params = operation.params
  numbers = params['dimension_numbers']
  groups = params['feature_group_count'] * params['batch_group_count']
  thin = list(site.shape)
  thin[numbers.rhs_spec[0]] = groups
  x = x.astype(jnp.float32)
  largest = moments.largest_of(x)
  square, ones = jnp.square(x / largest), jnp.ones(thin, jnp.float32)
  sums = jax.lax.conv_general_dilated(
    *((square, ones) if site.w == 1 else (ones, square)),
    window_strides=params['window_strides'],
    padding=params['padding'],
    lhs_dilation=params['lhs_dilation'],
    rhs_dilation=params['rhs_dilation'],
    dimension_numbers=numbers,
    feature_group_count=params['feature_group_count'],
    batch_group_count=params['batch_group_count'],
  )
  return largest, *moments.mean_of(sums)


def _signal(
  signal: Signal, operation: Operation, known: _Values
) -> dict[str, Any]:
  """Of a site's output with its bias, which replaces that without."""
  (output,) = operation.outputs
  found: dict[str, Any] = {'forward': known.moments(output)}
  if signal.bias is not None:
    found['bias'] = known.size(operation.inputs[signal.bias])
  return found


def _residual(
  residual: Residual,
  operation: Operation,
  known: _Values,
  units: tuple[int, ...],
) -> dict[str, Any]:
  """Of a residual add's operands and its sum."""
  (output,) = operation.outputs
  skip, branch = (
    operation.inputs[each] for each in (residual.skip, residual.branch)
  )
  sizes = {'skip': known.size(skip), 'branch': known.size(branch)}
  unit = lambda each: moments.unit(known.still(each), known.size(each))
  found = sizes | {
    'sum': known.size(output),
    'correlation': moments.mean_of(unit(skip) * unit(branch))[0],
  }
  if len(residual.shape) == 3:
    found['token_cosine'] = moments.token_cosine(known.still(output))
  for name, each in (('skip', skip), ('branch', branch)) if units else ():
    found[f'{name}_offset'] = _offset(known.still(each), units)
  return found


def _offset(x: jax.Array, units: tuple[int, ...]) -> Moments:
  """The root mean square over units of the mean over all else."""
  rest = tuple(axis for axis in range(x.ndim) if axis not in units)
  return moments.size_of(jnp.mean(x.astype(jnp.float32), rest))


def _activation(
  activation: Activation, known: _Values, steepest: float
) -> dict[str, Any]:
  """Of an activation's input, its output and its slope."""
  t = known.still(activation.source)

  def function(t: jax.Array) -> jax.Array:
    own = {activation.source: t}
    for operation in activation.operations:
      operands = [
        own[each] if each in own else known.still(each)
        for each in operation.inputs
      ]
      (own[operation.outputs[0]],) = operation.bind(operands)
    return own[activation.result]

  _, slope = jax.jvp(function, (t,), (jnp.ones_like(t),))
  slope = jnp.abs(slope.astype(jnp.float32))
  units = activation.units or (t.ndim - 1,)
  rows = tuple(d for d in range(t.ndim) if d not in units)
  small = slope < activations.SATURATED_SLOPE * steepest
  square, saturated = moments.mean_of(jnp.square(slope), small)
  found = {
    'input': known.moments(activation.source),
    'output': known.moments(activation.result),
    'slope_square': square,
    'dead': moments.mean_of(jnp.all(slope == 0, rows))[0],
  }
  if not math.isnan(steepest):
    found['saturated'] = saturated
  return found
