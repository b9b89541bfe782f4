"""Calibration: kernels rescaled by what a batch does in them.

Of anybody's model, whatever its layout: what an operation makes is rescaled as
the program runs, so that everything after it already sees it.

    model = uses.trace(apply, params, x)
    new = redraw.redraw(model.uses, params, key, 'orthogonal')
    new = calibrate.lsuv(model, new.params, x)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base
from initlab.models import redraw, sites, taps, uses
from initlab.models.program import Operation

# How far from the target the standard deviation of a site's output may be: a
# thousand roundings of a float32, or a few of a narrower type.
_TOLERANCE = 1e-4
_ROUNDINGS = 4


def lsuv(
  model: uses.Model, params: Any, *batch: Any, target: float = 1.0
) -> redraw.Redrawn:
  """Layer-sequential unit variance, in one pass.

  Every kernel is divided by the standard deviation of its outputs on the batch,
  over examples, positions and units, the kernels before it being calibrated
  already. Mishkin & Matas do so layer by layer, each until its variance is
  within 10% of 1, from an orthogonal start.

  Args:
    model: from `uses.trace`; its output may be a loss.
    params: of the model.
    *batch: that the model takes.
    target: the standard deviation wanted.

  Returns:
    The params. A kernel is left, and named, if other entries than its own
    decide its output: of a tied or packed leaf, of a loop over time, of a
    weight that is normalized, or if its output is the same everywhere.

  Raises:
    UserError: no kernel can be calibrated.

  References:
    Mishkin & Matas, 2016, All you need is a good init, algorithm 1.
    https://arxiv.org/abs/1511.06422
  """
  left = _left(model)
  while True:
    scales = _scales(model, params, batch, target, left)
    new = _times(model, params, scales)
    failed = _first_off(model, new, batch, target, scales)
    if failed is None:
      break
    left[failed] = 'its output does not go with it'
  if not scales:
    raise base.UserError(
      'no kernel can be calibrated. '
      + '; '.join(f'{name}: {left[name]}' for name in left)
    )
  return redraw.Redrawn(new, tuple(scales), left)


def equal_rates(
  loss: Callable[..., base.Array],
  model: uses.Model,
  params: Any,
  *batch: Any,
  steps: int = 10,
  damping: float = 0.5,
) -> redraw.Redrawn:
  """Kernels that all change at the same relative rate.

      C_k = |dC/dW_k| / |W_k|

  is made equal by W_k <- W_k (C_k / C)^(damping / 2), C being the geometric
  mean of all C_k, some times over. The factors of all kernels have the product
  1, so a network of ReLUs without biases computes the same as before.

  Krahenbuhl et al. take the mean over examples of the squared gradient, where
  this takes the gradient of the batch's loss; and they apply it after
  normalizing each unit, where here `lsuv` goes before.

  Args:
    loss: `(params, *batch) -> []`.
    model: of the loss, from `uses.trace`.
    params: of the model, best after `lsuv`.
    *batch: that the loss takes.
    steps: how many corrections; one, undamped, is enough without biases.
    damping: of each, in (0, 1].

  Returns:
    The params.

  Raises:
    UserError: no kernel can be rescaled.

  References:
    Krahenbuhl, Doersch, Donahue & Darrell, 2016, Data-dependent initializations
    of convolutional neural networks, algorithm 2.
    https://arxiv.org/abs/1511.06856
  """
  left = _left(model)
  kept = [use for use in model.uses if use.is_kernel and use.name not in left]
  if not kept:
    raise base.UserError('no kernel can be rescaled')

  def step(_: int, params: Any) -> Any:
    gradient = jax.tree.leaves(jax.grad(loss)(params, *batch))
    arrays, form = jax.tree.flatten(params)
    norms = [
      (_norms(use, gradient[use.number]), _norms(use, arrays[use.number]))
      for use in kept
    ]
    rates = [jnp.log(g) - jnp.log(w) for g, w in norms]
    mean = jnp.mean(jnp.concatenate(rates))
    for use, rate in zip(kept, rates, strict=True):
      factor = jnp.exp(damping / 2 * (rate - mean))
      arrays[use.number] = _by_layers(use, arrays[use.number], factor)
    return form.unflatten(arrays)

  new = jax.jit(lambda params: jax.lax.fori_loop(0, steps, step, params))(
    params
  )
  return redraw.Redrawn(new, tuple(use.name for use in kept), left)


def _norms(use: uses.Use, leaf: base.Array) -> base.Array:
  """`[layers]` Frobenius norms."""
  layers = len(leaf) if use.layered else 1
  flat = leaf.astype(jnp.float32).reshape(layers, -1)
  return jnp.linalg.norm(flat, axis=1)


def _by_layers(
  use: uses.Use, leaf: base.Array, factor: base.Array
) -> base.Array:
  """A leaf times one factor a layer."""
  shape = (-1,) + (1,) * (leaf.ndim - 1) if use.layered else ()
  return (leaf * factor.reshape(shape)).astype(leaf.dtype)


def _left(model: uses.Model) -> dict[str, str]:
  """Name of a kernel -> why its site's output does not go with it alone."""
  left = {}
  for use in model.uses:
    if use.is_kernel:
      reason = redraw.why_not_scaled(use)
      if use.repeated:
        reason = 'a loop over time uses it in every iteration'
      if reason:
        left[use.name] = reason
  return left


def _site(model: uses.Model, operation: Operation) -> sites.Site | None:
  """The site of an operation that is one of a single kernel."""
  site = model.plan.sites.get(operation)
  if site is None or len(site.leaves) != 1:
    return None
  return site if model.uses[site.leaves[0]].is_kernel else None


def _scales(
  model: uses.Model,
  params: Any,
  batch: tuple[Any, ...],
  target: float,
  left: dict[str, str],
) -> dict[str, base.Array]:
  """Name of a kernel -> what makes its outputs' standard deviation `target`."""

  def rescale(operation: Operation, operands: list[Any], output: Any) -> Any:
    del operands
    site = _site(model, operation)
    name = model.uses[site.leaves[0]].name if site is not None else ''
    if not name or name in left:
      return output, {}
    scale = target / jnp.std(output.astype(jnp.float32))
    return (output * scale).astype(output.dtype), {name: scale}

  run = lambda inputs: taps.run(model.plan.program, inputs, rescale)[1]
  return jax.jit(run)(taps.inputs(params, batch))


def _first_off(
  model: uses.Model,
  params: Any,
  batch: tuple[Any, ...],
  target: float,
  scales: dict[str, base.Array],
) -> str | None:
  """The first rescaled kernel whose outputs are off the target, if any."""

  def look(operation: Operation, operands: list[Any], output: Any) -> Any:
    del operands
    site = _site(model, operation)
    if site is None:
      return output, {}
    deviation = jnp.std(output.astype(jnp.float32))
    return output, {model.uses[site.leaves[0]].name: deviation}

  run = lambda inputs: taps.run(model.plan.program, inputs, look)[1]
  deviations = jax.jit(run)(taps.inputs(params, batch))
  arrays = jax.tree.leaves(params)
  for site in model.plan.sites.values():
    name = model.names[site.number]
    if name in scales:
      off = jnp.abs(deviations[name] / target - 1)
      epsilon = float(jnp.finfo(arrays[site.leaves[0]].dtype).eps)
      if not bool(jnp.all(off < max(_TOLERANCE, _ROUNDINGS * epsilon))):
        return name
  return None


def _times(
  model: uses.Model, params: Any, scales: dict[str, base.Array]
) -> Any:
  arrays, form = jax.tree.flatten(params)
  for use in model.uses:
    if use.name in scales:
      leaf = arrays[use.number]
      arrays[use.number] = _by_layers(use, leaf, scales[use.name])
  return form.unflatten(arrays)
