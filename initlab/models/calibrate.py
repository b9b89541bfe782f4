"""Calibration: kernels rescaled by what a batch does in them.

Of anybody's model, whatever its layout:

    model = uses.trace(apply, params, x)
    new = redraw.redraw(model.uses, params, key, 'orthogonal')
    new = calibrate.calibrate(model, new.params, x, method='equal_rates')
    new.params, new.drawn, new.left

`new.left` names each kernel and bias that was not rescaled, and says why.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base, functions, keys
from initlab.models import redraw, rescaling, taps, uses
from initlab.models.program import Operation, is_real


def calibrate(
  model: uses.Model, params: Any, *batch: Any, method: str = 'lsuv'
) -> redraw.Redrawn:
  """Calibrates a model by one of `METHODS`.

  Args:
    model: from `uses.trace`.
    params: of the model.
    *batch: that the model takes.
    method: its name, with knobs: 'lsuv:target=0.5', 'equal_rates:steps=20'.

  Raises:
    UserError: there is no such method or knob, or no kernel can be calibrated.
  """
  name, given = functions.split(method)
  calibrator = base.lookup(METHODS, 'method of calibration', name)
  knobs = functions.values(name, given, functions.knobs_of(calibrator, 2))
  return calibrator(model, params, *batch, **knobs)


def lsuv(
  model: uses.Model,
  params: Any,
  *batch: Any,
  target: float = 1.0,
  branch: float | None = 1.0,
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
    branch: what multiplies it for the last kernels of residual branches, so
      that the stream grows less; None is 1 / sqrt(N), as for
      `redraw.scale_branches`. The paper has no such number.

  Returns:
    The params. A kernel is left, and named, if other entries than its own
    decide its output: of a tied or packed leaf, of a loop over time, of a
    weight that is normalized, or if its output is the same everywhere.

  Raises:
    UserError: no kernel can be calibrated, or the target is not above 0.

  References:
    Mishkin & Matas, 2016, All you need is a good init, algorithm 1.
    https://arxiv.org/abs/1511.06422
  """
  if target <= 0:
    raise base.UserError(f'target={target}: a standard deviation above 0')
  if branch is None:
    branch = redraw.branch_factor(model)
  targets = rescaling.Targets(deviation=target, branch=branch)
  return rescaling.normalize(model, params, batch, targets)


def unit_variance(
  model: uses.Model, params: Any, *batch: Any, mean: float = 0.0
) -> redraw.Redrawn:
  """Within-layer normalization: of every unit, unit variance and a given mean.

      W_i <- W_i / sigma_i,   b_i <- b_i + mean - E s_i,

  s_i being the output of unit i (a channel, of a convolution), sigma_i its
  standard deviation on the batch over examples and positions, the layers before
  it being normalized already. Krahenbuhl et al. start from biases of zero; the
  outcome is the same for any.

  Args:
    model: from `uses.trace`; its output may be a loss.
    params: of the model.
    *batch: that the model takes; of two examples or positions at least.
    mean: of every unit with its bias; a small positive one keeps ReLUs alive.

  Returns:
    The params. Kernels are left, and named, as by `lsuv`; so is a bias that
    several places share. Without a bias the mean stays what it is.

  Raises:
    UserError: no kernel can be calibrated.

  References:
    Krahenbuhl, Doersch, Donahue & Darrell, 2016, Data-dependent initializations
    of convolutional neural networks, algorithm 1.
    https://arxiv.org/abs/1511.06856
  """
  targets = rescaling.Targets(mean=mean, per_unit=True)
  return rescaling.normalize(model, params, batch, targets)


def equal_rates(
  model: uses.Model,
  params: Any,
  *batch: Any,
  mean: float = 0.0,
  steps: int = 10,
  damping: float = 0.5,
  seed: int = 0,
) -> redraw.Redrawn:
  """Unit variance of every unit, then equal rates of change of all layers.

  `unit_variance`, then `between_layers`, as Krahenbuhl et al. do. A kernel that
  only the second leaves has unit variance.

  Args:
    model: from `uses.trace`; its output may be a loss.
    params: of the model.
    *batch: that the model takes; of two examples or positions at least.
    mean: see `unit_variance`.
    steps, damping, seed: see `between_layers`.

  Raises:
    UserError: no kernel can be calibrated.
  """
  first = unit_variance(model, params, *batch, mean=mean)
  second = between_layers(
    model, first.params, *batch, steps=steps, damping=damping, seed=seed
  )
  changed = {*first.drawn, *second.drawn}
  left = {
    name: why
    for name, why in (second.left | first.left).items()
    if name not in changed
  }
  drawn = tuple(use.name for use in model.uses if use.name in changed)
  return redraw.Redrawn(second.params, drawn, left)


def between_layers(
  model: uses.Model,
  params: Any,
  *batch: Any,
  steps: int = 10,
  damping: float = 0.5,
  seed: int = 0,
) -> redraw.Redrawn:
  """Kernels that all change at the same relative rate.

      C_k = |dC/dW_k| / |W_k|

  is made equal by W_k <- r_k W_k, r_k = (C_k / C)^(damping / 2), C being the
  geometric mean of all C_k, some times over. A bias follows the input of its
  unit: it is multiplied by the change of the root mean square of W_k x. The r_k
  have the product 1, so a chain of ReLUs computes the same as before.

  Of a model that returns no loss, C is the product of its output with standard
  normal draws, as of Krahenbuhl et al.: C_k^2 is then, on average over these
  draws, the sum over examples of the squared gradient. Of a loss, this takes
  the gradient of the batch, where they take the mean over examples of the
  squared gradient.

  Args:
    model: from `uses.trace`.
    params: of the model, best after `unit_variance`.
    *batch: that the model takes.
    steps: how many corrections; one, undamped, is enough for a chain of ReLUs.
    damping: of each, in (0, 1].
    seed: of the normal draws.

  Returns:
    The params. Kernels are left, and named, as by `lsuv`; so is one that has no
    rate because it is zero, or its gradient is, as of all kernels before a
    readout that starts at zero.

  Raises:
    UserError: no kernel can be rescaled, or a knob is out of its range.

  References:
    Krahenbuhl, Doersch, Donahue & Darrell, 2016, Data-dependent initializations
    of convolutional neural networks, algorithm 2.
    https://arxiv.org/abs/1511.06856
  """
  if steps < 1 or steps % 1 or not 0 < damping <= 1:
    raise base.UserError(
      f'steps={steps}, damping={damping}: whole steps, at least one, and '
      'damping in (0, 1]'
    )
  loss = _loss(model, keys.stream(keys.root(seed), 'down'))
  down = jax.jit(jax.grad(loss, allow_int=True))
  left = _without_rate(model, params, down(params, *batch))
  left |= rescaling.not_alone(model) | rescaling.biases_left(model)
  kept = [use for use in model.uses if use.is_kernel and use.name not in left]
  if not kept:
    raise base.UserError(
      'no kernel can be rescaled. '
      + '; '.join(f'{name}: {left[name]}' for name in left)
    )

  def step(_: int, params: Any) -> Any:
    gradient = jax.tree.leaves(down(params, *batch))
    arrays, form = jax.tree.flatten(params)
    rates = [
      jnp.log(_norms(use, gradient[use.number]))
      - jnp.log(_norms(use, arrays[use.number]))
      for use in kept
    ]
    mean = jnp.mean(jnp.concatenate(rates))
    scaled = list(arrays)
    for use, rate in zip(kept, rates, strict=True):
      factor = jnp.exp(damping / 2 * (rate - mean))
      scaled[use.number] = rescaling.times(use, arrays[use.number], factor)
    growth = _growth(model, [arrays, scaled], batch, left)
    for use in model.uses:
      if use.name in growth:
        by_layers = arrays[use.number].reshape(growth[use.name].size, -1)
        leaf = by_layers * growth[use.name].reshape(-1, 1)
        scaled[use.number] = leaf.reshape(use.shape).astype(by_layers.dtype)
    return form.unflatten(scaled)

  new = jax.jit(lambda params: jax.lax.fori_loop(0, steps, step, params))(
    params
  )
  added = [rescaling.bias_of(model, each) for each in model.plan.signals]
  own = {bias[0].name for bias in added if bias} - set(left)
  changed = own | {use.name for use in kept}
  drawn = tuple(use.name for use in model.uses if use.name in changed)
  return redraw.Redrawn(new, drawn, left)


# Name -> `(model, params, *batch, **knobs) -> Redrawn`.
METHODS: dict[str, Callable[..., redraw.Redrawn]] = {
  'lsuv': lsuv,
  'unit_variance': unit_variance,
  'between_layers': between_layers,
  'equal_rates': equal_rates,
}


def _loss(model: uses.Model, key: base.Key) -> Callable[..., base.Array]:
  """The model's loss, or its output times standard normal draws, summed."""
  real = [each for each in jax.tree.leaves(model.output) if is_real(each)]
  if not real:
    raise base.UserError('the model returns no floating-point array')
  shape = real[0].shape
  down = jax.random.normal(key, shape) if shape else jnp.ones(())

  def loss(params: Any, *batch: Any) -> base.Array:
    found = jax.tree.leaves(model.function(params, *batch))
    output = next(each for each in found if is_real(each))
    return jnp.sum(output.astype(jnp.float32) * down)

  return loss


def _without_rate(
  model: uses.Model, params: Any, gradient: Any
) -> dict[str, str]:
  """Name of a kernel -> why the logarithm of its rate is not finite."""
  arrays, slopes = jax.tree.leaves(params), jax.tree.leaves(gradient)
  found = {}
  for use in model.uses:
    if use.is_kernel:
      part = 'a layer of it' if use.layered else 'it'
      if not _norms(use, arrays[use.number]).all():
        found[use.name] = f'{part} is zero'
      elif not _norms(use, slopes[use.number]).all():
        found[use.name] = f'the gradient of {part} is zero'
  return found


def _norms(use: uses.Use, leaf: base.Array) -> base.Array:
  """`[layers]` Frobenius norms."""
  layers = len(leaf) if use.layered else 1
  flat = leaf.astype(jnp.float32).reshape(layers, -1)
  return jnp.linalg.norm(flat, axis=1)


def _growth(
  model: uses.Model,
  versions: list[list[base.Array]],
  batch: tuple[Any, ...],
  left: dict[str, str],
) -> dict[str, base.Array]:
  """Name of a bias -> how W x grew from the first version to the second.

  Both run side by side, the biases of the second scaled as it runs.
  """

  def scale(operation: Operation, operands: list[Any], output: Any) -> Any:
    bias = rescaling.bias_of(model, operation)
    if bias is None or bias[0].name in left:
      return output, {}
    use, added = bias
    rms = jnp.sqrt(jnp.mean(jnp.square(operands[1 - added]), dtype=jnp.float32))
    before = jax.lax.all_gather(rms, 'version')[0]
    growth = jnp.where(before > 0, rms / before, 1.0)
    more = (growth - 1) * operands[added]
    return output + more.astype(output.dtype), {use.name: growth}

  program, data = model.plan.program, jax.tree.leaves(batch)
  run = lambda arrays: taps.run(program, [*arrays, *data], scale)[1]
  stacked = [jnp.stack(pair) for pair in zip(*versions, strict=True)]
  found = jax.vmap(run, axis_name='version')(stacked)
  return {name: growth[1] for name, growth in found.items()}
