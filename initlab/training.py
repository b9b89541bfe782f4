"""Training as pure functions of one seed.

    state = start(params, optimizer)
    state = advance(objective, optimizer, examples, state, first, last, every)
    loss, error = evaluate(...)

`advance` takes any number of steps, traced, so one compiled program serves
chunks of all lengths, and a training in chunks is bitwise equal to one in a
single call. The caller decides what to measure, and when.

A seed diverges at the first step with a non-finite loss or back-propagated
gradient, or at the next multiple of `every` steps after its parameters became
non-finite. From then on its state is frozen as before that step; other seeds
are not affected.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple, get_type_hints

import chex
import jax
import jax.numpy as jnp
import optax

from initlab import base, minibatches, networks, optimizers
from initlab.experiment import (
  DIVERGENCE,
  Experiment,
  PerNetwork,
  Training,
  axes_of,
)

# `(params, batch) -> []`, the mean loss of a batch, of any pytrees.
Objective = Callable[[Any, Any], base.Array]
Optimizer = optax.GradientTransformationExtraArgs


class State(NamedTuple):
  """A network in training.

  params: its layers, or any pytree of arrays.
  memory: the state of the optimizer.
  diverged_step: `[]` int32, the step at which it diverged, counted from 0; -1
    if it did not.
  last_loss: `[]` the last finite loss of a minibatch; NaN if there is none.
  mean_loss: `[]` the mean loss of the minibatches since the last multiple of
    `every` steps; NaN before the first step.
  """

  params: Any
  memory: Any
  diverged_step: base.Array
  last_loss: base.Array
  mean_loss: base.Array


# A training.


def start(params: Any, optimizer: Optimizer) -> State:
  """A network before its first step."""
  nan = jnp.full((), jnp.nan, float)
  never = jnp.full((), -1, jnp.int32)
  return State(params, optimizer.init(params), never, nan, nan)


def advance(
  objective: Objective,
  optimizer: Optimizer,
  examples: minibatches.Examples,
  state: State,
  first: base.Array,
  last: base.Array,
  *,
  every: int,
) -> State:
  """Takes the steps first, ..., last - 1.

  Args:
    objective: the function to minimize.
    optimizer: the one passed to `start`.
    examples: the source of minibatches.
    state: after `first` steps.
    first: `[]` int32, possibly traced; the same for all lanes of a vmap.
    last: `[]` int32, likewise; the state is unchanged if it is at most `first`.
    every: the number of minibatches that `State.mean_loss` averages.

  Returns:
    The state after `last` steps.
  """
  chex.assert_rank([first, last], 0)

  def stretch(carry: tuple) -> tuple:
    state, cursor, first = carry
    end = jnp.minimum(examples.end(first), last)

    def step(index: base.Array, state: State) -> State:
      batch = examples.batch(cursor, index)
      return _step(objective, optimizer, state, batch, index, every)

    state = jax.lax.fori_loop(first, end, step, state)
    turned = jax.lax.cond(
      end < last, lambda: examples.turn(cursor, end), lambda: cursor
    )
    return state, turned, end

  first = jnp.asarray(first)
  carry = state, examples.open(first), first
  return jax.lax.while_loop(lambda carry: carry[2] < last, stretch, carry)[0]


def _descent(config: Any) -> Optimizer:
  return optimizers.descent(config.learning_rate)


def _whole(config: Any, key: base.Key, data: Any) -> minibatches.Examples:
  del config, key
  return minibatches.whole(data)


def of_networks(
  result: type,
  record: Callable[..., dict[str, base.Array]],
  *,
  objective: Callable[[Any], Objective] = networks.objective,
  optimizer: Callable[[Any], Optimizer] = _descent,
  examples: Callable[..., minibatches.Examples] = _whole,
  every: Callable[[Any], int] = lambda config: config.record_every,
  before: Callable[..., dict[str, Any]] = lambda *_: {},
  watch: Callable[..., dict[str, Any]] | None = None,
) -> Training:
  """The training of the parameters of `config.draw` for `config.steps` steps.

  Records of a seed are NaN from the step at which it diverges. `diverged_step`
  (NaN if it did not) and `last_loss` (the last finite loss) are added to the
  Result. Floating-point data are cast to the experiment's dtype.

  Args:
    result: the Result class.
    record: `(config, network, data, kept) -> {field: value}` at a recorded
      step, with `network` a `State`.
    objective: `config -> (params, batch) -> []`, the function to minimize.
    optimizer: `config -> optimizer`; gradient descent by default.
    examples: `(config, key, data) -> Examples`; full batches by default.
    every: `config -> int`, steps between records.
    before: `(config, key, params, data) -> kept`, a dict of values measured
      before the first step; entries named like a field of Result are stored.
    watch: `(config, network, moved, data, kept, step) -> kept`, called for each
      step with its number from 0 and the network before and after it.
  """
  stored = _with_divergence(result)

  def begin(config: Any, key: base.Key, data: Any) -> tuple[State, Any]:
    params = _of_dtype(config.draw(key))
    kept = before(config, key, params, _of_dtype(data))
    return start(params, optimizer(config)), kept

  def proceed(
    config: Any,
    key: base.Key,
    data: Any,
    state: tuple[State, Any],
    first: base.Array,
    last: base.Array,
  ) -> tuple[State, Any]:
    network, kept = state
    data = _of_dtype(data)
    take = functools.partial(
      advance,
      objective(config),
      optimizer(config),
      examples(config, key, data),
      every=every(config),
    )
    if watch is None:
      return take(network, first, last), kept

    def step(index: base.Array, state: tuple[State, Any]) -> tuple[State, Any]:
      network, kept = state
      moved = take(network, index, index + 1)
      return moved, watch(config, network, moved, data, kept, index)

    return jax.lax.fori_loop(first, last, step, state)

  def look(config: Any, data: Any, state: tuple[State, Any]) -> Any:
    network, kept = state
    alive = network.diverged_step < 0
    found = record(config, network, _of_dtype(data), kept)
    step = network.diverged_step.astype(jnp.float32)
    return stored(
      **{name: jnp.where(alive, x, jnp.nan) for name, x in found.items()},
      **{name: kept[name] for name in result._fields if name in kept},
      diverged_step=jnp.where(alive, jnp.nan, step),
      last_loss=network.last_loss,
    )

  return Training(
    result=stored,
    steps=lambda config: recorded_steps(config.steps, every(config)),
    start=begin,
    advance=proceed,
    record=look,
  )


def _with_divergence(result: type) -> type:
  """A Result class with the fields of `experiment.DIVERGENCE`."""
  hints = get_type_hints(result, include_extras=True)
  hints |= dict.fromkeys(DIVERGENCE, PerNetwork)
  return NamedTuple(result.__name__, list(hints.items()))  # pyrefly: ignore


def _of_dtype(tree: Any) -> Any:
  """Casts floating-point leaves to the dtype of the experiment."""
  floating = lambda x: jnp.issubdtype(x.dtype, jnp.floating)
  return jax.tree.map(lambda x: x.astype(float) if floating(x) else x, tree)


def run(experiment: Experiment, config: Any, key: base.Key, data: Any) -> Any:
  """The Result of one seed: of `run`, or of the complete training.

  Args:
    experiment: the program.
    config: the setting.
    key: of the seed; it is consumed.
    data: as loaded.

  Returns:
    A Result, fields over steps `[T, ...]`.
  """
  pieces = experiment.training
  if pieces is None:
    assert experiment.run
    return experiment.run(config, key, data)
  steps = jnp.asarray(pieces.steps(config), jnp.int32)

  def piece(state: Any, span: base.Array) -> tuple[Any, Any]:
    state = pieces.advance(config, key, data, state, *span)
    return state, pieces.record(config, data, state)

  state = pieces.start(config, key, data)
  first = pieces.record(config, data, state)
  spans = jnp.stack([steps[:-1], steps[1:]], axis=1)
  _, rest = jax.lax.scan(piece, state, spans)
  joined = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
  return over_steps(joined, pieces.result)


def over_steps(records: Any, result_type: type, axis: int = 0) -> Any:
  """The records of all steps as a Result; the last one if a field has no steps.

  Args:
    records: a Result whose fields all have an axis of `T` steps.
    result_type: its class.
    axis: of the steps.
  """
  axes = axes_of(result_type)
  last = (slice(None),) * axis + (-1,)
  return result_type(
    *(
      value if 'step' in axes[field] else value[last]
      for field, value in zip(axes, records, strict=True)
    )
  )


def recorded_steps(steps: int, every: int) -> tuple[int, ...]:
  """Step 0, every `every` steps, and the last.

  Examples:
    >>> recorded_steps(50, 20)
    (0, 20, 40, 50)
  """
  return tuple(sorted({*range(0, steps, every), steps}))


def _step(
  objective: Objective,
  optimizer: Optimizer,
  state: State,
  batch: base.Batch,
  index: base.Array,
  every: int,
) -> State:
  """One step of one network; a diverged one is frozen."""
  of_params = lambda params: objective(params, batch)
  loss, gradient = jax.value_and_grad(of_params)(state.params)
  updates, memory = optimizer.update(
    gradient,
    state.memory,
    state.params,
    value=loss,
    grad=gradient,
    value_fn=of_params,
  )
  alive = state.diverged_step < 0
  sound = alive & jnp.isfinite(loss) & _all_finite(_vectors(gradient))
  before = index % every
  sound &= jax.lax.cond(
    before == 0, lambda: _all_finite(state.params), lambda: jnp.bool_(True)
  )
  number = before.astype(float) + 1
  mean = state.mean_loss + (loss - state.mean_loss) / number
  moved = State(
    jax.tree.map(jnp.add, state.params, updates),
    memory,
    state.diverged_step,
    loss,
    jnp.where(before == 0, loss, mean),
  )
  last_loss = jnp.where(jnp.isfinite(loss), loss, state.last_loss)
  frozen = state._replace(
    diverged_step=jnp.where(alive, index, state.diverged_step),
    last_loss=jnp.where(alive, last_loss, state.last_loss),
  )
  select = lambda new, old: jnp.where(sound, new, old)
  return jax.tree.map(select, moved, frozen)


def _vectors(gradient: Any) -> list[base.Array]:
  """The gradients of the biases: sums over examples of dC/ds.

  Checking those of the weights, too, would cost a tenth of a step; it is done
  where there is no bias.
  """
  leaves = jax.tree.leaves(gradient)
  return [leaf for leaf in leaves if leaf.ndim < 2] or leaves


def _all_finite(tree: Any) -> base.Array:
  finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
  return jnp.all(jnp.stack(finite))
