"""What the sites of a model put out in its first steps of training."""

import collections
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import base, keys
from initlab.models import parametrization, sites, taps, uses
from initlab.models.program import Operation, Program


class Width(NamedTuple):
  """What was found at one width.

  names: of the sites.
  sizes: how many entries their outputs have.
  rms: `[S, T + 1, sites]` of x_0, and of x_t - x_0.
  loss: `[S, T + 1]`.
  """

  names: tuple[str, ...]
  sizes: tuple[int, ...]
  rms: np.ndarray
  loss: np.ndarray


def at_width(
  model: tuple[Any, ...],
  optimizer: Any,
  rules: Any,
  steps: int,
  seeds: np.ndarray,
  root_seed: int,
) -> Width:
  """The first steps of the seeds of one width.

  Args:
    model: `(init, loss, batch)` of this width.
    optimizer, rules, steps, root_seed: see `coordinates.coordinate_check`; the
      rules are those of this width.
    seeds: `[S]` uint32.

  Raises:
    UserError: the model does not return a loss.
  """
  init, loss, batch = model
  shapes = jax.eval_shape(init, keys.root(root_seed))
  traced = uses.trace(loss, shapes, *batch)
  if jax.tree.leaves(traced.output)[0].shape != ():
    raise base.UserError('a coordinate check takes a model that returns a loss')
  if rules is not None:
    optimizer = parametrization.optimizer(optimizer, rules)

  def one(seed: base.Array) -> tuple[base.Array, base.Array]:
    params = init(keys.at(keys.root(root_seed), seed))
    if rules is not None:
      params = parametrization.rescale(params, rules)
    return take(loss, params, batch, optimizer, steps)

  run = jax.jit(lambda indices: jax.lax.map(one, indices))
  rms, values = run(seeds)
  names, sizes = _names(traced)
  return Width(names, sizes, np.asarray(rms), np.asarray(values))


def take(
  loss: Callable[..., base.Array],
  params: Any,
  batch: tuple[Any, ...],
  optimizer: optax.GradientTransformation,
  steps: int,
) -> tuple[base.Array, base.Array]:
  """Trains one model of one seed for T steps on one batch.

  Args:
    loss: `(params, *batch) -> []`.
    params: at first.
    batch: a tuple of arrays.
    optimizer: of the params.
    steps: T.

  Returns:
    `[T + 1, sites]` rms(x_0) and rms(x_t - x_0), t = 1, ..., T, of the sites in
    the order of the program; and `[T + 1]` the loss after 0, ..., T steps.
  """
  shapes = jax.tree.map(jax.typeof, (params, *batch))
  plan = uses.trace(loss, *shapes).plan

  def step(carry: Any, _: None) -> tuple[Any, Any]:
    params, state = carry
    value, gradient = jax.value_and_grad(loss)(params, *batch)
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(gradient, state, params)
    seen = _outputs(plan, taps.inputs(params, batch))
    return (optax.apply_updates(params, updates), state), (seen, value)

  start = (params, optimizer.init(params))
  _, (seen, values) = jax.lax.scan(step, start, length=steps + 1)
  return jnp.concatenate([_rms(each) for each in seen], axis=1), values


def _numbered(plan: sites.Plan) -> dict[int, sites.Site]:
  """The sites by their numbers."""
  return {site.number: site for site in plan.sites.values()}


def _ends(plan: sites.Plan) -> dict[Operation, int]:
  """The operation that makes a site's x, and the number of the site.

  That is its output with its bias and, where nothing else takes that, times the
  numbers that it is next multiplied with: attention logits are those that the
  softmax sees.
  """
  return dict(_ends_in(plan, plan.program))


def _ends_in(
  plan: sites.Plan, program: Program
) -> Iterator[tuple[Operation, int]]:
  users: dict[Any, list[Operation]] = collections.defaultdict(list)
  for operation in program.flat():
    for operand in operation.inputs:
      users[operand].append(operation)
    for body in operation.bodies:
      yield from _ends_in(plan, body)
  for operation in program.flat():
    signal = plan.signals.get(operation)
    while signal is not None:
      variable = operation.outputs[0]
      following = users[variable]
      if variable in program.outputs or len(following) != 1:
        break
      if not _multiplies_by_a_number(program, following[0], variable):
        break
      (operation,) = following
    if signal is not None:
      yield operation, signal.site


def _multiplies_by_a_number(
  program: Program, operation: Operation, variable: int
) -> bool:
  if operation.name not in ('mul', 'div') or len(operation.inputs) != 2:
    return False
  others = [each for each in operation.inputs if each != variable]
  return len(others) == 1 and program.type_of(others[0]).shape == ()


def _outputs(plan: sites.Plan, inputs: list[Any]) -> list[base.Array]:
  """Outputs of the sites, `[layers, entries]`, in the order of the program."""

  ends = _ends(plan)

  def keep(operation: Operation, operands: list[Any], output: Any) -> Any:
    del operands
    return output, {ends[operation]: output} if operation in ends else {}

  _, kept = taps.run(plan.program, inputs, keep)
  return [
    kept[number].reshape(_layers(site), -1)
    for number, site in _numbered(plan).items()
  ]


def _layers(site: sites.Site) -> int:
  """How many sites it counts for: one an iteration if those are layers."""
  return int(np.prod(site.iterations)) if _is_layered(site) else 1


def _is_layered(site: sites.Site) -> bool:
  return site.stacked or site.kind == 'product'


def _names(model: uses.Model) -> tuple[tuple[str, ...], tuple[int, ...]]:
  """Names of the sites, one a layer, and the sizes of their outputs."""
  names, sizes = [], []
  for site in _numbered(model.plan).values():
    name = model.names[site.number]
    if _is_layered(site) and site.iterations:
      for index in np.ndindex(*site.iterations):
        names.append(f'{name}[{",".join(map(str, index))}]')
        sizes.append(int(np.prod(site.output)))
    else:
      names.append(name)
      sizes.append(int(np.prod(site.output)))
  return tuple(names), tuple(sizes)


def _rms(outputs: base.Array) -> base.Array:
  """`[T + 1, layers]` from `[T + 1, layers, entries]`: of x_0, of x_t - x_0."""
  outputs = outputs.astype(jnp.float32)
  moved = outputs[1:] - outputs[:1]
  sizes = jnp.concatenate([outputs[:1], moved])
  return jnp.sqrt(jnp.mean(sizes**2, axis=-1))
