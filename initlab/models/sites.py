"""Where in a program weights meet data, and what surrounds these places.

Every variable is followed from where it comes: from the batch, from leaves of
the params, from which sites. A *site* is a matrix product or convolution of an
operand that depends on leaves alone with one that depends on the batch, or a
lookup in such an array; of two that depend on the batch, it is a *product*.
An add of something made of leaves alone is a *bias*; an add of a branch to what
the branch was computed from is *residual*; the elementwise operations that one
variable enters and one leaves are an *activation*.
"""

from collections.abc import Sequence

import numpy as np

from initlab.models import (
  cones,
  elementwise,
  entries,
  geometry,
  places,
  program as programs,
  softmax,
)
from initlab.models.origins import NONE, Origin, carried_by, merged
from initlab.models.plan import Activation, Plan, Residual, Signal, Site
from initlab.models.program import Constant, Operation, Program

_CUTS = ('slice', 'split', 'dynamic_slice')
_SHORTCUTS = (*_CUTS, 'pad', 'reduce_window_sum')

# What a leaf is whose values enter such an operation with data.
_ROLES = {
  'add': 'bias',
  'add_any': 'bias',
  'sub': 'bias',
  'mul': 'scale',
  'div': 'scale',
}


def analyse(program: Program, leaves: Sequence[int | None]) -> Plan:
  """Finds the places of a model.

  Args:
    program: of the model.
    leaves: for each input, the number of the floating-point leaf of the params
      that it is; None for what is not one, -1 for the batch.

  Returns:
    The plan.
  """
  analysis = _Analysis(program, leaves)
  origins = [
    Origin(data=True)
    if leaf == -1
    else Origin(leaves=frozenset() if leaf is None else frozenset({leaf}))
    for leaf in leaves
  ]
  scope = entries.Scope(program, programs.makers(program), None, {})
  analysis.walk(scope, origins, (), True)
  return analysis.plan()


class _Analysis:
  """Follows variables through a program, loops until nothing changes."""

  def __init__(self, program: Program, leaves: Sequence[int | None]):
    self.program = program
    self.leaf_inputs = {
      leaf: number
      for leaf, number in zip(leaves, program.inputs, strict=True)
      if leaf is not None and leaf >= 0
    }
    self.numbers: dict[tuple[str, Operation], int] = {}
    self.sites: dict[Operation, Site] = {}
    self.signals: dict[Operation, Signal] = {}
    self.residuals: dict[Operation, Residual] = {}
    self.activations: dict[Operation, Activation] = {}
    self.biases: dict[int, frozenset[int]] = {}
    self.logits: set[int] = set()
    self.roles: dict[int, str] = {}
    self.unknown: dict[Operation, places.Opaque] = {}
    self.makers_of_signals: dict[int, Operation] = {}

  def number(self, kind: str, operation: Operation) -> int:
    """The number of a place, the same in every round."""
    return self.numbers.setdefault((kind, operation), len(self.numbers))

  def plan(self) -> Plan:
    """What was found."""
    for site in self.sites.values():
      for leaf in site.leaves:
        self.roles[leaf] = 'weight'
    return Plan(
      self.program,
      self.sites,
      self.signals,
      self.residuals,
      self.activations,
      {site: tuple(sorted(found)) for site, found in self.biases.items()},
      frozenset(self.logits),
      self._whole(),
      {
        leaf: self.roles.get(leaf, 'other')
        for leaf, variable in self.leaf_inputs.items()
        if self._is_used(variable)
      },
      tuple(self.unknown.values()),
    )

  def _whole(self) -> dict[int, int]:
    """Number of a site -> the leaf that is its weight, and nothing else."""
    leaves = {variable: leaf for leaf, variable in self.leaf_inputs.items()}
    alone = entries.alone(self.program)
    found = {}
    for operation in programs.deep(self.program):
      site = self.sites.get(operation)
      if site is not None:
        variable = alone.get(operation.inputs[site.w])
        if variable in leaves:
          found[site.number] = leaves[variable]
    return found

  def _is_used(self, variable: int) -> bool:
    """Whether the outputs depend on an input of the program."""
    makers = programs.makers(self.program)
    return any(
      not isinstance(output, Constant)
      and programs.comes_from(output, variable, makers)
      for output in self.program.outputs
    )

  def walk(
    self,
    scope: entries.Scope,
    origins: Sequence[Origin],
    iterations: tuple[int, ...],
    whole: bool = False,
  ) -> list[Origin]:
    """The origins of a program's outputs from those of its inputs."""
    program = scope.program
    known: dict[int, Origin] = {}
    for variable, value in program.constants.items():
      known[variable] = Origin(uniform=np.ndim(value) == 0)
    known.update(zip(program.inputs, origins, strict=True))
    for variable, origin in known.items():
      uniform = origin.uniform or program.types[variable].shape == ()
      known[variable] = origin._replace(
        uniform=uniform, same=variable, stem=variable
      )
    read = lambda operand: (
      Origin(uniform=np.ndim(operand.value) == 0)
      if isinstance(operand, Constant)
      else known[operand]
    )
    for operation in program.flat():
      inputs = [read(operand) for operand in operation.inputs]
      if operation.name == 'scan' and operation.bodies:
        found = self._scan(scope, operation, inputs, iterations)
      elif operation.name == 'cond' and operation.bodies:
        found = self._cond(scope, operation, inputs, iterations)
      else:
        found = [self._step(scope, known, operation, inputs, iterations)] * len(
          operation.outputs
        )
      for variable, origin in zip(operation.outputs, found, strict=True):
        known[variable] = origin._replace(
          same=variable if origin.same < 0 else origin.same,
          stem=variable if origin.stem < 0 else origin.stem,
        )
    self._find_activations(scope, known, iterations, whole)
    return [read(operand) for operand in program.outputs]

  def _step(self, scope, known, operation, inputs, iterations) -> Origin:
    """The origin of what a plain operation makes."""
    for places_found in (self.sites, self.signals, self.residuals):
      places_found.pop(operation, None)
    self.unknown.pop(operation, None)
    for logits in softmax.logits(operation, scope.makers):
      self.logits |= known[logits].last
    found = merged(inputs)
    if found.data:
      weight = self._weight(operation, inputs)
      if weight is not None:
        return self._site(scope, operation, inputs, weight, iterations)
    name = operation.name
    if not (
      elementwise.is_elementwise(operation) or name in elementwise.LAYOUT
    ):
      carries = carried_by(inputs) if name in _CUTS else NONE
      stem = inputs[0].stem if name in _SHORTCUTS and found.data else -1
      units = inputs[0].units if carries else ()
      if name == 'dynamic_slice' and iterations and not found.data:
        found = found._replace(stacked=inputs[0].leaves)
      return found._replace(carries=carries, stem=stem, units=units)
    shape = scope.program.types[operation.outputs[0]].shape
    found = found._replace(
      uniform=bool(inputs) and all(each.uniform for each in inputs)
    )
    if name in elementwise.LAYOUT:
      before = scope.program.type_of(operation.inputs[0]).shape
      units = geometry.follow(operation, inputs[0].units, before, shape)
      return inputs[0]._replace(uniform=found.uniform, units=units)
    if not found.data:
      return found
    carries = carried_by(inputs, summed=name in ('add', 'add_any'))
    units = next((i.units for i in inputs if i.carries and i.units), ())
    found = found._replace(carries=carries, units=units)
    data = [each for each in inputs if each.data]
    if len(data) == 1 and _is_real(scope.program, operation):
      found = found._replace(stem=data[0].stem)
    self._note_roles(name, inputs)
    if name in ('add', 'add_any', 'sub') and len(inputs) == 2:
      biased = self._bias(operation, inputs, found)
      if biased is not None:
        return biased
      if name != 'sub':
        return self._residual(
          scope, known, operation, inputs, found, iterations
        )
    return found

  def _weight(self, operation, inputs) -> int | None:
    """Which operand is the weight of a site: of a product, the second."""
    name = operation.name
    if name == 'gather':
      is_lookup = inputs[0].leaves and not inputs[0].data and inputs[1].data
      return 0 if is_lookup else None
    if name not in ('dot_general', 'conv_general_dilated'):
      return None
    if name == 'dot_general':
      (contracted, _), _ = operation.params['dimension_numbers']
      if not contracted:
        self._note_roles('mul', inputs)
        return None
    first, second = inputs[:2]
    if first.data and second.data:
      return 1
    weight = 0 if second.data else 1
    why = 'its weight is not in the params'
    if inputs[weight].leaves:
      if weight == 1 or name == 'dot_general':
        return weight
      why = 'its weight is what the windows slide over'
    elif inputs[weight].uniform:
      return None
    self.unknown[operation] = places.Opaque(name, operation.where, 1, why)
    return None

  def _note_roles(self, name, inputs) -> None:
    """Leaves that are added to data are biases, those that multiply, scales."""
    if name in _ROLES:
      for leaf in NONE.union(*(each.leaves for each in inputs)):
        self.roles.setdefault(leaf, _ROLES[name])

  def _bias(self, operation, inputs, found) -> Origin | None:
    """The origin of a site's output with something added that is not data."""
    for index, (signal, added) in enumerate([inputs, inputs[::-1]]):
      if signal.tag is None or added.data:
        continue
      if added.leaves:
        self.biases[signal.tag] = (
          self.biases.get(signal.tag, NONE) | added.leaves
        )
        maker = self.makers_of_signals.get(signal.tag)
        if maker is not None:
          self.signals.pop(maker, None)
        self.signals[operation] = Signal(signal.tag, 1 - index, signal.units)
        self.makers_of_signals[signal.tag] = operation
      elif added.uniform:
        continue
      return found._replace(tag=signal.tag, units=signal.units)
    return None

  def _residual(self, scope, known, operation, inputs, found, iterations):
    program = scope.program
    shapes = {
      program.type_of(each).shape
      for each in (*operation.inputs, *operation.outputs)
    }
    alike = len(shapes) == 1 and shapes != {()} and _is_real(program, operation)
    if not alike or not all(each.data for each in inputs):
      return found
    for skip in (0, 1):
      branch, variable = inputs[1 - skip], operation.inputs[1 - skip]
      stem, before = self._start(known, inputs[skip], branch)
      if before < branch.sites and programs.comes_from(
        variable, stem, scope.makers
      ):
        self.residuals[operation] = Residual(
          self.number('residual', operation),
          skip,
          1 - skip,
          tuple(sorted(branch.last)),
          iterations,
          next(iter(shapes)),
          operation.where,
        )
        return found._replace(stem=stem, carries=branch.carries)
    return found

  def _start(
    self, known, skip: Origin, branch: Origin
  ) -> tuple[int, frozenset[int]]:
    """The variable that a skip is of, and the sites before it.

    A convolution alone, perhaps normalized, that the branch does not contain is
    the shortcut of a block that changes the shape: the skip is of its input.
    """
    alone = len(skip.last) == 1 and skip.carries == skip.last
    if alone and not skip.last & branch.sites:
      (number,) = skip.last
      site = next(s for s in self.sites.values() if s.number == number)
      if site.kind == 'convolution' and site.reads in known:
        before = known[site.reads].sites
        return known[site.reads].stem, before
    return skip.stem, known[skip.stem].sites

  def _site(self, scope, operation, inputs, w, iterations) -> Origin:
    """The origin of a site's output; the site is kept."""
    number = self.number('site', operation)
    weight, x = inputs[w], inputs[1 - w]
    product = weight.data
    name = operation.name
    shape = scope.program.type_of(operation.inputs[w]).shape
    roles, n_in, n_out, units = geometry.of_site(
      operation, w, shape, scope.program
    )
    kinds = {'gather': 'lookup', 'dot_general': 'matmul'}
    kind = 'product' if product else kinds.get(name, 'convolution')
    self.sites[operation] = Site(
      number,
      kind,
      operation.where,
      iterations,
      1 - w,
      w,
      tuple(sorted(weight.leaves)),
      roles,
      shape,
      n_in,
      n_out,
      units,
      scope.program.types[operation.outputs[0]].shape,
      bool(weight.stacked),
      x.same,
      tuple(sorted(x.last | (weight.last if product else NONE))),
      *self._axes(scope, operation.inputs[w], weight.leaves, roles),
    )
    self.signals[operation] = Signal(number, None, units)
    self.makers_of_signals[number] = operation
    self.biases.pop(number, None)
    before = x.sites | weight.sites
    return Origin(
      data=True,
      sites=before | {number},
      last=frozenset({number}),
      tag=number,
      carries=NONE if product else frozenset({number}),
      units=units,
    )

  def _axes(self, scope, operand, leaves, roles):
    """The axes of its leaf; of many that a loop takes in turn, of the first."""
    if not leaves:
      return None, ()
    variable = self.leaf_inputs[min(leaves)]
    first = entries.of(scope, operand, variable, 0)
    last = entries.of(scope, operand, variable, -1 if len(leaves) == 1 else 0)
    if first is None or last is None or not first.size or np.min(first) < 0:
      return None, ()
    shape = self.program.types[variable].shape
    return entries.axes(first, last, shape, roles)

  def _scan(self, scope, operation, inputs, iterations) -> list[Origin]:
    (body,) = operation.bodies
    constant, carried = programs.split_scan(scope.program, operation)
    first = constant + carried
    inner = entries.Scope(
      body,
      programs.makers(body),
      scope,
      {
        variable: (operand, index >= first)
        for index, (variable, operand) in enumerate(
          zip(body.inputs, operation.inputs, strict=True)
        )
        if not constant <= index < first
      },
    )
    own = [
      Origin(
        each.data,
        each.leaves,
        each.stacked,
        last=each.last,
        uniform=each.uniform,
      )
      for each in inputs
    ]
    for index in range(constant, len(own)):
      cut = own[index].leaves if index >= first else own[index].stacked
      own[index] = own[index]._replace(stacked=cut, uniform=False)
    lengths = (*iterations, operation.params['length'])
    while True:
      outputs = self.walk(inner, own, lengths)
      carries = [
        merged([before, after])._replace(sites=NONE)
        for before, after in zip(
          own[constant:first], outputs[:carried], strict=True
        )
      ]
      if carries == own[constant:first]:
        break
      own[constant:first] = carries
    inside = frozenset(
      site.number
      for op, site in self.sites.items()
      if op in set(programs.deep(body))
    )
    before = frozenset().union(*(each.sites for each in inputs))
    return [
      Origin(each.data, each.leaves, sites=before | inside, last=each.last)
      for each in outputs
    ]

  def _cond(self, scope, operation, inputs, iterations) -> list[Origin]:
    branches = []
    for body in operation.bodies:
      sources = {
        variable: (operand, False)
        for variable, operand in zip(
          body.inputs, operation.inputs[1:], strict=True
        )
      }
      inner = entries.Scope(body, programs.makers(body), scope, sources)
      own = [
        each._replace(tag=None, carries=NONE, units=()) for each in inputs[1:]
      ]
      branches.append(self.walk(inner, own, iterations))
    return [
      merged(each)._replace(data=inputs[0].data or any(e.data for e in each))
      for each in zip(*branches, strict=True)
    ]

  def _find_activations(self, scope, known, iterations, whole) -> None:
    """Keeps the activations; those behind the last site are the loss's own."""
    program = scope.program
    for operation in program.flat():
      self.activations.pop(operation, None)
    needed = [each for site in self.sites for each in site.inputs]
    if not whole or any(program.type_of(x).shape for x in program.outputs):
      needed += program.outputs
    ends = {*self.signals, *self.residuals}
    found = cones.find(scope, known, ends, needed, iterations)
    for operation, activation in found.items():
      number = self.number('activation', operation)
      self.activations[operation] = activation._replace(number=number)


def _is_real(program: Program, operation: Operation) -> bool:
  return all(programs.is_real(program.types[x]) for x in operation.outputs)
