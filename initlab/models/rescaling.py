"""What calibrators share: rescaling kernels as the program runs.

What an operation makes is rescaled where it is made, so that everything after
it already sees it: one pass does what the papers do layer by layer.
"""

import collections
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, kernels
from initlab.models import leaves, redraw, sites, taps, uses
from initlab.models.program import Operation

# How far from the target a standard deviation or a mean may be: a thousand
# roundings of a float32, or a few of a narrower type.
_TOLERANCE = 1e-4
_ROUNDINGS = 4


class Targets(NamedTuple):
  """What the outputs of every site are to be on a batch.

  deviation: standard deviation.
  branch: what multiplies it at the last sites of residual branches.
  mean: with the bias, of every unit; None to leave biases alone.
  per_unit: whether the deviation is that of each unit, rather than of all.
  """

  deviation: float = 1.0
  branch: float = 1.0
  mean: float | None = None
  per_unit: bool = False


def normalize(
  model: uses.Model, params: Any, batch: tuple[Any, ...], targets: Targets
) -> redraw.Redrawn:
  """Kernels and biases that give every site's output the targets, in one pass.

  What was changed is checked by the model's own program; a leaf that does not
  bring its site to the target is left, and the pass repeated without it.

  Raises:
    UserError: no kernel can be calibrated.
  """
  left = not_alone(model)
  if targets.per_unit:
    left |= _without_units(model, left)
  if targets.mean is not None:
    left |= biases_left(model)
  while True:
    changes = _changes(model, params, batch, targets, left)
    new = _changed(model, params, changes)
    failed = _first_off(model, new, batch, targets, changes)
    if failed is None:
      break
    left[failed] = 'changing it does not bring its output to the target'
  scaled = [use.name for use in model.uses if use.is_kernel]
  if not set(scaled) & set(changes):
    raise base.UserError(
      'no kernel can be calibrated. '
      + '; '.join(f'{name}: {left[name]}' for name in left)
    )
  drawn = [use.name for use in model.uses if use.name in changes]
  return redraw.Redrawn(new, tuple(drawn), left)


def not_alone(model: uses.Model) -> dict[str, str]:
  """Name of a kernel -> why its site's output does not scale with it alone."""
  left = {}
  for use in model.uses:
    if {'matmul', 'convolution'} & set(use.kinds):
      reason = redraw.why_not_scaled(use)
      if use.repeated:
        reason = 'a loop over time uses it in every iteration'
      if reason:
        left[use.name] = reason
  return left


def biases_left(model: uses.Model) -> dict[str, str]:
  """Name of a bias of kernels' sites -> why it is not the site's own."""
  count = collections.Counter(
    leaf for each in model.plan.biases.values() for leaf in each
  )
  left = {}
  for site in _kernel_sites(model):
    numbers = model.plan.biases.get(site.number, ())
    for number in numbers:
      use = model.uses[number]
      if count[number] > 1 or use.kinds:
        left[use.name] = 'it is shared: more than one place uses it'
      elif len(numbers) > 1:
        left[use.name] = 'its site has several biases'
      elif math.prod(use.shape) != _units_of(site):
        left[use.name] = 'it has not one entry a unit'
  return left


def bias_of(
  model: uses.Model, operation: Operation
) -> tuple[uses.Use, int] | None:
  """The bias that an operation adds to a kernel's output, and which operand."""
  signal = model.plan.signals.get(operation)
  if signal is None or signal.bias is None:
    return None
  if all(site.number != signal.site for site in _kernel_sites(model)):
    return None
  return model.uses[model.plan.biases[signal.site][0]], signal.bias


def site_of(model: uses.Model, operation: Operation) -> sites.Site | None:
  """The site of an operation that is one of a single kernel."""
  site = model.plan.sites.get(operation)
  if site is None or len(site.leaves) != 1:
    return None
  return site if model.uses[site.leaves[0]].is_kernel else None


def times(use: uses.Use, leaf: base.Array, factors: base.Array) -> base.Array:
  """A kernel times its factors: one for all, or for each layer, or unit.

  Args:
    use: of the kernel.
    leaf: the array.
    factors: in the order layers, units, in any shape.
  """
  stack, field, ins, outs = (
    [use.shape[axis] for axis in part]
    for part in kernels.split_axes(use.shape, **(use.axes or kernels.Axes()))
  )
  each = math.prod(stack) * math.prod(outs)
  factors = jnp.repeat(factors.ravel(), each // factors.size)
  factors = factors.reshape(*stack, *[1] * len(field + ins), *outs)
  whole = jnp.broadcast_to(factors, [*stack, *field, *ins, *outs])
  whole = leaves.arranged(whole, use.shape, use.axes or kernels.Axes())
  return (leaf * whole).astype(leaf.dtype)


def _kernel_sites(model: uses.Model) -> list[sites.Site]:
  found = (site_of(model, operation) for operation in model.plan.sites)
  return [site for site in found if site is not None]


def _units_of(site: sites.Site) -> int:
  """How many units a site has, in all iterations."""
  return math.prod((*site.iterations, *(site.output[d] for d in site.units)))


def _without_units(model: uses.Model, left: dict[str, str]) -> dict[str, str]:
  """Name of a kernel -> that its axes are not its site's units."""
  found = {}
  for site in _kernel_sites(model):
    use = model.uses[site.leaves[0]]
    if use.name in left or use.axes is None:
      continue
    stack, _, _, outs = kernels.split_axes(use.shape, **use.axes)
    own = math.prod(use.shape[axis] for axis in (*stack, *outs))
    if own != _units_of(site):
      found[use.name] = 'its axes are not the units of its output'
  return found


def _mean(
  x: base.Array, units: tuple[int, ...], of: Any = jnp.mean
) -> base.Array:
  """A mean over all dimensions but those of units, which keep their size 1."""
  over = tuple(d for d in range(x.ndim) if d not in units)
  return of(x.astype(jnp.float32), over, keepdims=True)


def _target(model: uses.Model, site: sites.Site, targets: Targets) -> float:
  """The standard deviation that a site's outputs are to have."""
  residuals = model.plan.residuals.values()
  is_last = any(site.number in residual.sites for residual in residuals)
  return targets.deviation * (targets.branch if is_last else 1.0)


def _changes(
  model: uses.Model,
  params: Any,
  batch: tuple[Any, ...],
  targets: Targets,
  left: dict[str, str],
) -> dict[str, base.Array]:
  """Name of a kernel -> its factors; of a bias, what is added to it."""

  def change(operation: Operation, operands: list[Any], output: Any) -> Any:
    del operands
    kept = {}
    site = site_of(model, operation)
    if site is not None and model.uses[site.leaves[0]].name not in left:
      units = site.units if targets.per_unit else ()
      factor = _target(model, site, targets) / _mean(output, units, jnp.std)
      output = (output * factor).astype(output.dtype)
      kept[model.uses[site.leaves[0]].name] = factor
    bias = bias_of(model, operation)
    if targets.mean is not None and bias and bias[0].name not in left:
      units = model.plan.signals[operation].units
      shift = targets.mean - _mean(output, units)
      output = (output + shift).astype(output.dtype)
      kept[bias[0].name] = shift
    return output, kept

  run = lambda inputs: taps.run(model.plan.program, inputs, change)[1]
  return jax.jit(run)(taps.inputs(params, batch))


def _changed(
  model: uses.Model, params: Any, changes: dict[str, base.Array]
) -> Any:
  arrays, form = jax.tree.flatten(params)
  for use in model.uses:
    if use.name in changes:
      leaf, change = arrays[use.number], changes[use.name]
      if use.is_kernel:
        arrays[use.number] = times(use, leaf, change)
      else:
        arrays[use.number] = leaf + change.reshape(leaf.shape).astype(
          leaf.dtype
        )
  return form.unflatten(arrays)


def _first_off(
  model: uses.Model,
  params: Any,
  batch: tuple[Any, ...],
  targets: Targets,
  changes: dict[str, base.Array],
) -> str | None:
  """The first changed leaf whose site's outputs are off the targets, if any."""

  def look(operation: Operation, operands: list[Any], output: Any) -> Any:
    kept = {}
    site = site_of(model, operation)
    if site is not None:
      units = site.units if targets.per_unit else ()
      deviation = _mean(output, units, jnp.std)
      off = jnp.max(jnp.abs(deviation / _target(model, site, targets) - 1))
      kept[model.uses[site.leaves[0]].name] = off
    bias = bias_of(model, operation)
    if targets.mean is not None and bias:
      use, added = bias
      mean = _mean(output, model.plan.signals[operation].units)
      off = jnp.max(jnp.abs(mean - targets.mean)) / targets.deviation
      # What is added may be large beside what is left, and rounds as it is.
      size = jnp.max(jnp.abs(operands[added].astype(jnp.float32)))
      kept[use.name] = off / jnp.maximum(1, size / targets.deviation)
    return output, kept

  run = lambda inputs: taps.run(model.plan.program, inputs, look)[1]
  found = jax.jit(run)(taps.inputs(params, batch))
  arrays = jax.tree.leaves(params)
  for site in _kernel_sites(model):
    # In the order of the program: what follows a leaf that is off is off, too.
    for number in (*site.leaves, *model.plan.biases.get(site.number, ())):
      name = model.uses[number].name
      epsilon = float(jnp.finfo(arrays[number].dtype).eps)
      allowed = max(_TOLERANCE, _ROUNDINGS * epsilon)
      if name in changes and not bool(jnp.all(found[name] < allowed)):
        return name
  return None
