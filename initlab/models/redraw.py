"""Redraws the leaves of anybody's model, by any scheme.

Which axes of a kernel are fan-in and fan-out follows from what the model does
with it, so any scheme draws it right, whatever its framework's layout:

    model = uses.trace(apply, params, x)
    new = redraw.redraw(model.uses, params, key, 'orthogonal:gain=1.41')
    new.params, new.drawn, new.left

`new.left` names each leaf that was selected and not changed, and says why: a
tied embedding, a weight that is computed from several leaves. Kernels in a loop
over layers are drawn layer by layer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, kernels, keys
from initlab.models import leaves, uses
from initlab.models.program import Constant, Operation, Program
from initlab.models.uses import Use


class Redrawn(NamedTuple):
  """What became of a model's params.

  params: the new ones.
  drawn: names of the leaves that were changed.
  left: name -> why it was not, of those that were selected.
  """

  params: Any
  drawn: tuple[str, ...]
  left: dict[str, str]

  def __repr__(self) -> str:
    """Which leaves were changed, and why others were not; not the arrays."""
    lines = [f'{len(self.drawn)} leaves changed: {", ".join(self.drawn)}']
    lines += [f'left as it is: {name}: {self.left[name]}' for name in self.left]
    return '\n'.join(lines)


def redraw(
  found: Sequence[Use],
  params: Any,
  key: base.Key,
  scheme: leaves.Drawn | None = None,
  choice: leaves.Choice | None = None,
) -> Redrawn:
  """Draws leaves of a model anew.

  Args:
    found: of the model, from `uses.trace` or `uses.of`.
    params: of the model.
    key: it is consumed. A leaf is drawn from its stream of the leaf's name.
    scheme: draws every kernel, see `leaves.Drawn`; None for those of `choice`
      alone.
    choice: patterns of names, and the schemes that draw what they match, kernel
      or not: `{'*/out/kernel': 'zeros'}`. The last match counts.

  Returns:
    The params. A packed leaf, of which each site uses its own slice, is drawn
    slice by slice.

  Raises:
    UserError: a pattern matches no leaf, a scheme does not suit a shape, or no
      selected leaf can be drawn.

  Examples:
    >>> params = {'w': jnp.ones((2, 4)), 'b': jnp.ones(4)}
    >>> apply = lambda params, x: x @ params['w'] + params['b'][None]
    >>> model = uses.trace(apply, params, jnp.ones((3, 2)))
    >>> redraw(model.uses, params, keys.root(0), 'zero').params['w']
    Array([[ 0.5,  0.5,  0.5,  0.5],
           [ 0.5, -0.5,  0.5, -0.5]], dtype=float32)
  """
  chosen = {}
  if scheme is not None:
    chosen = {use.name: scheme for use in found if use.is_kernel}
  chosen |= leaves.choose([use.name for use in found], choice or {})

  def new(use: Use, leaf: base.Array) -> base.Array:
    return _draw(use, leaf, keys.stream(key, use.name), chosen[use.name])

  return changed(found, params, chosen, why_not_drawn, new)


def changed(
  found: Sequence[Use],
  params: Any,
  selected: Mapping[str, Any],
  why_not: Callable[[Use], str],
  new: Callable[[Use, base.Array], base.Array],
) -> Redrawn:
  """Changes the selected leaves that can be, and names the others."""
  arrays, form = jax.tree.flatten(params)
  drawn, left = [], {}
  for use in found:
    if use.name not in selected:
      continue
    reason = why_not(use)
    if reason:
      left[use.name] = reason
    else:
      arrays[use.number] = new(use, arrays[use.number])
      drawn.append(use.name)
  if not drawn:
    reasons = '; '.join(f'{name}: {left[name]}' for name in left)
    raise base.UserError(
      f'no leaf can be changed. {reasons or "None is there"}'
    )
  return Redrawn(form.unflatten(arrays), tuple(drawn), left)


def why_not_drawn(use: Use) -> str:
  """Why a leaf cannot be drawn anew; '' if it can."""
  if use.role == 'unused':
    return 'the output does not depend on it'
  if use.role != 'weight':
    return ''
  if use.mixed:
    return 'a weight is computed from it and from other leaves'
  if use.axes is None:
    several = len(use.kinds) > 1
    return (
      'it is tied: its uses disagree on which axes are fan-in'
      if several
      else 'the weight is not its entries, each once, so it has no fan-in'
    )
  if len(use.kinds) > 1 and not _is_packed(use):
    return f'it is tied: {len(use.kinds)} sites use the same entries'
  if any(use.parts) and not _is_packed(use):
    return 'only a slice of it is used'
  return ''


def _is_packed(use: Use) -> bool:
  """Whether the sites use slices of it that overlap nowhere and leave none."""
  if not all(use.parts):
    return False
  counts = np.zeros(use.shape, np.int8)
  for part in use.parts:
    counts[part] += 1
  return bool((counts == 1).all())


def _draw(
  use: Use, leaf: base.Array, key: base.Key, scheme: leaves.Drawn
) -> base.Array:
  draw = leaves.initializer(scheme, axes_of(use))
  if not _is_packed(use):
    return draw(key, leaf.shape, leaf.dtype)
  for index, part in enumerate(use.parts):
    shape = leaf[part].shape
    leaf = leaf.at[part].set(draw(keys.at(key, index), shape, leaf.dtype))
  return leaf


def reinforcement(
  found: Sequence[Use], params: Any, key: base.Key, policy: str, value: str
) -> Redrawn:
  """Orthogonal kernels with the gains of reinforcement learning.

  sqrt(2) for all kernels, 0.01 for the policy's last one, so that all actions
  start about equally probable, and 1 for the value's.

  Args:
    found: of the model, from `uses.trace` or `uses.of`.
    params: of the model.
    key: it is consumed.
    policy: pattern of the name of the policy's last kernel.
    value: of the value's.

  References:
    Huang et al., 2022, The 37 implementation details of PPO, detail 2.
    Andrychowicz et al., 2021, section 3.2. https://arxiv.org/abs/2006.05990
  """
  heads = {policy: 'orthogonal:gain=0.01', value: 'orthogonal:gain=1'}
  hidden = f'orthogonal:gain={2**0.5}'
  return redraw(found, params, key, hidden, heads)


def scale_branches(
  model: uses.Model, params: Any, factor: float | None = None
) -> Redrawn:
  """Multiplies the last kernel of every residual branch by a number.

  Args:
    model: from `uses.trace`.
    params: of the model.
    factor: 1 / sqrt(N) if None, N being the number of residual adds, those of
      all iterations of loops counted; the stream then grows by e at most if
      every branch would double its variance. 0 makes every block the identity.

  Returns:
    The params. A branch whose sum several kernels enter last is left.

  Raises:
    UserError: there is no residual add whose branch ends in a kernel.

  References:
    Radford et al., 2019, GPT-2, section 2.3: 1 / sqrt(N).
    Zhang, Dauphin & Ma, 2019, Fixup: 0. https://arxiv.org/abs/1901.09321
  """
  residuals = model.plan.residuals.values()
  factor = branch_factor(model) if factor is None else factor
  numbered = {site.number: site for site in model.plan.sites.values()}
  last: dict[str, list[str]] = {}
  for residual in residuals:
    names = [
      model.uses[leaf].name
      for number in residual.sites
      for leaf in numbered[number].leaves
    ]
    for name in names:
      last[name] = names

  def why_not(use: Use) -> str:
    if len(last[use.name]) > 1:
      others = ', '.join(name for name in last[use.name] if name != use.name)
      return f'its branch ends in other leaves, too: {others}'
    return why_not_scaled(use)

  scale = lambda use, leaf: leaf * jnp.asarray(factor, leaf.dtype)
  return changed(model.uses, params, last, why_not, scale)


def branch_factor(model: uses.Model) -> float:
  """1 / sqrt(N), N being the number of residual adds; 1 without one."""
  residuals = model.plan.residuals.values()
  adds = sum(math.prod(residual.iterations) for residual in residuals)
  return max(adds, 1) ** -0.5


def why_not_scaled(use: Use) -> str:
  """Why no output scales with the leaf alone; '' if one does."""
  reason = why_not_drawn(use)
  if not reason and len(use.kinds) > 1:
    return f'{len(use.kinds)} sites use slices of it'
  return reason


def set_branch_scalars(model: uses.Model, params: Any, value: float) -> Redrawn:
  """Sets the leaves that residual branches are multiplied with, last.

  Args:
    model: from `uses.trace`.
    params: of the model.
    value: 0 is SkipInit and ReZero, of a scalar a branch; small numbers as 0.1
      or 1e-5 are LayerScale, of a scalar a channel.

  Raises:
    UserError: no branch is multiplied with a leaf after its last kernel.

  References:
    De & Smith, 2020, SkipInit. https://arxiv.org/abs/2002.10444
    Bachlechner et al., 2020, ReZero. https://arxiv.org/abs/2003.04887
    Touvron et al., 2021, LayerScale, eq. 4. https://arxiv.org/abs/2103.17239
  """
  scalars = {model.uses[leaf].name for leaf in _branch_scalars(model)}
  if not scalars:
    raise base.UserError(
      'no residual branch of the model is multiplied with a leaf: it has '
      'nothing that SkipInit, ReZero or LayerScale could set'
    )
  fill = lambda use, leaf: jnp.full_like(leaf, value)
  return changed(
    model.uses, params, dict.fromkeys(scalars), why_not_drawn, fill
  )


def _branch_scalars(model: uses.Model) -> set[int]:
  """Numbers of the leaves between the last sites of branches and the adds."""
  program = model.plan.program
  numbers = {use.number for use in model.uses}
  origins = {
    variable: number
    for number, variable in enumerate(program.inputs)
    if number in numbers
  }
  return set(_scalars_in(model, program, origins))


def _scalars_in(
  model: uses.Model, program: Program, origins: dict[Any, int]
) -> Iterator[int]:
  """Yields them.

  Args:
    model: of which the program is a part.
    program: the whole, or the body of a loop.
    origins: variable -> number of the leaf that it is, up to layout.
  """
  makers: dict[Any, Operation] = {}
  for operation in program.flat():
    makers |= dict.fromkeys(operation.outputs, operation)
    whole = [each for each in operation.inputs if each in origins]
    if len(operation.inputs) == 1 and whole and operation.name in _LAYOUT:
      origins[operation.outputs[0]] = origins[whole[0]]
    for body in operation.bodies:
      outer = operation.inputs[len(operation.inputs) - len(body.inputs) :]
      inner = {
        variable: origins[operand]
        for variable, operand in zip(body.inputs, outer, strict=True)
        if operand in origins
      }
      yield from _scalars_in(model, body, inner)
    residual = model.plan.residuals.get(operation)
    if residual is not None:
      branch = operation.inputs[residual.branch]
      yield from _multiplied(model, branch, makers, origins)


_LAYOUT = (
  'broadcast_in_dim',
  'convert_element_type',
  'reshape',
  'slice',
  'squeeze',
  'transpose',
)


def _multiplied(
  model: uses.Model,
  variable: Any,
  makers: dict[Any, Operation],
  origins: dict[Any, int],
) -> Iterator[int]:
  """Yields the leaves that a variable is the product of, up to its site."""
  while not isinstance(variable, Constant) and variable in makers:
    operation = makers[variable]
    if operation in model.plan.signals:
      return
    data = [each for each in operation.inputs if each not in origins]
    if operation.name == 'mul':
      yield from (origins[e] for e in operation.inputs if e in origins)
    elif operation.name not in _LAYOUT:
      return
    if not data:
      return
    variable = data[0]


def axes_of(use: Use) -> kernels.Axes:
  """The axes of a leaf; those of an array that is no kernel are empty."""
  axes = use.axes or kernels.Axes()
  if set(use.kinds) != {'lookup'}:
    return axes
  # A token's row is a kernel of its own, of fan-in 1.
  split = kernels.split_axes(use.shape, **axes)
  return kernels.Axes(
    in_axis=(), out_axis=split.outs, batch_axis=split.batch + split.ins
  )
