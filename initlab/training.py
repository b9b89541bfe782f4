"""A training as pure functions of one seed.

    state = start(params, optimizer)
    state = advance(objective, optimizer, examples, state, first, last, every)
    cost, error = evaluate(...)

`advance` takes any number of steps, traced, so one compiled program serves
pieces of all lengths, and a training cut into pieces is bit for bit the whole.
What is measured, and when, is up to the caller: nothing is logged from inside.

A seed diverges at the first step whose cost or back-propagated gradient is not
finite; and where parameters are not finite, at the next multiple of `every`
steps, if nothing shows it before. From then on it is frozen as it was before
that step, and its neighbours never notice.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from initlab import base, minibatches, mlp
from initlab.experiment import Training, axes_of

# `(params, batch) -> []`, the mean cost of a batch; any pytrees will do.
Objective = Callable[[Any, Any], base.Array]


class State(NamedTuple):
  """A network in training.

  params: its layers, or any pytree with an array of rank 0 or 1.
  memory: of the optimizer.
  diverged_step: `[]` int32, the step at which it diverged, counted from 0; -1
    for a network that did not.
  last_cost: `[]` the last finite cost of a minibatch; NaN if there is none.
  mean_cost: `[]` the mean cost of the minibatches since the last multiple of
    `every` steps; NaN before the first step.
  """

  params: Any
  memory: Any
  diverged_step: base.Array
  last_cost: base.Array
  mean_cost: base.Array


class Timed(NamedTuple):
  """A network in training against the clock of its steps.

  network: as it is.
  reached_step: `[]` int32, the first step that began with a cost below the one
    asked for; -1 for a network that never did.
  """

  network: State
  reached_step: base.Array


# A training.


def objective(activation: base.Activation, loss: base.ExampleLoss) -> Objective:
  """The mean over a batch of each example's cost."""

  def mean_cost(params: base.Params, batch: base.Batch) -> base.Array:
    logits = mlp.apply(params, batch.x, activation)
    return jnp.mean(jax.vmap(loss)(logits, batch.y))

  return mean_cost


def start(
  params: Any, optimizer: optax.GradientTransformationExtraArgs
) -> State:
  """A network before its first step."""
  nan = jnp.full((), jnp.nan, float)
  never = jnp.full((), -1, jnp.int32)
  return State(params, optimizer.init(params), never, nan, nan)


def advance(
  objective: Objective,
  optimizer: optax.GradientTransformationExtraArgs,
  examples: minibatches.Examples,
  state: State,
  first: base.Array,
  last: base.Array,
  *,
  every: int,
) -> State:
  """Takes the steps first, ..., last - 1.

  Args:
    objective: what is minimised.
    optimizer: from `optimizer`, the one that the state was started with.
    examples: where minibatches come from.
    state: after `first` steps.
    first: `[]` int32, traced or not; no lane of a vmap has its own.
    last: `[]` int32, likewise; nothing happens where it is not above `first`.
    every: how many minibatches `State.mean_cost` averages.

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


def timed(network: State) -> Timed:
  """A network whose clock starts now."""
  return Timed(network, jnp.full((), -1, jnp.int32))


def advance_timed(
  objective: Objective,
  optimizer: optax.GradientTransformationExtraArgs,
  examples: minibatches.Examples,
  state: Timed,
  first: base.Array,
  last: base.Array,
  *,
  below: float,
) -> Timed:
  """`advance`, which also notes when a cost is reached.

  Args:
    objective, optimizer, examples, state, first, last: as for `advance`.
    below: the mean cost of a minibatch that is to be reached; without an
      interval, so of all examples (`whole`), or of large minibatches.

  Returns:
    The state after `last` steps.
  """

  def step(index: base.Array, state: Timed) -> Timed:
    network = advance(
      objective, optimizer, examples, state.network, index, index + 1, every=1
    )
    now = (state.reached_step < 0) & (network.last_cost < below)
    return Timed(network, jnp.where(now, index, state.reached_step))

  return jax.lax.fori_loop(first, last, step, state)


def evaluate(
  params: base.Params,
  batch: base.Batch,
  activation: base.Activation,
  loss: base.ExampleLoss,
) -> tuple[base.Array, base.Array]:
  """Mean cost, and the share of examples whose largest logit is not theirs."""
  logits = mlp.apply(params, batch.x, activation)
  wrong = jnp.argmax(logits, axis=-1).astype(jnp.int32) != batch.y
  cost = jnp.mean(jax.vmap(loss)(logits, batch.y))
  return cost, jnp.mean(wrong.astype(cost.dtype))


def run(
  pieces: Training,
  result_type: type,
  config: Any,
  key: base.Key,
  data: Any,
) -> Any:
  """A training from its first step to its last, with all its records.

  Args:
    pieces: what it consists of.
    result_type: the Result class.
    config: of the experiment.
    key: of the seed; it is consumed.
    data: as loaded.

  Returns:
    A Result, fields over steps `[T, ...]`.
  """
  numbers = {
    name: jnp.asarray(value, float)
    for name, value in pieces.numbers(config).items()
  }
  steps = jnp.asarray(pieces.steps(config), jnp.int32)
  config = pieces.program(config)

  def piece(state: Any, span: base.Array) -> tuple[Any, Any]:
    state = pieces.advance(config, numbers, key, data, state, *span)
    return state, pieces.record(config, data, state)

  state = pieces.start(config, numbers, key, data)
  first = pieces.record(config, data, state)
  spans = jnp.stack([steps[:-1], steps[1:]], axis=1)
  _, rest = jax.lax.scan(piece, state, spans)
  joined = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
  return over_steps(joined, result_type)


def over_steps(records: Any, result_type: type, axis: int = 0) -> Any:
  """Records of all steps as a Result: the last one's where there is no axis.

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
  """Step 0, every so many steps, and the last.

  Examples:
    >>> recorded_steps(50, 20)
    (0, 20, 40, 50)
  """
  return tuple(sorted({*range(0, steps, every), steps}))


def _step(
  objective: Objective,
  optimizer: optax.GradientTransformationExtraArgs,
  state: State,
  batch: base.Batch,
  index: base.Array,
  every: int,
) -> State:
  """One step of one network, which is frozen where it diverges."""
  of_params = lambda params: objective(params, batch)
  cost, gradient = jax.value_and_grad(of_params)(state.params)
  updates, memory = optimizer.update(
    gradient,
    state.memory,
    state.params,
    value=cost,
    grad=gradient,
    value_fn=of_params,
  )
  alive = state.diverged_step < 0
  sound = alive & jnp.isfinite(cost) & _all_finite(_vectors(gradient))
  before = index % every
  sound &= jax.lax.cond(
    before == 0, lambda: _all_finite(state.params), lambda: jnp.bool_(True)
  )
  number = before.astype(float) + 1
  mean = state.mean_cost + (cost - state.mean_cost) / number
  moved = State(
    jax.tree.map(jnp.add, state.params, updates),
    memory,
    state.diverged_step,
    cost,
    jnp.where(before == 0, cost, mean),
  )
  last_cost = jnp.where(jnp.isfinite(cost), cost, state.last_cost)
  frozen = state._replace(
    diverged_step=jnp.where(alive, index, state.diverged_step),
    last_cost=jnp.where(alive, last_cost, state.last_cost),
  )
  select = lambda new, old: jnp.where(sound, new, old)
  return jax.tree.map(select, moved, frozen)


def _vectors(gradient: Any) -> list[base.Array]:
  """Those of the biases: sums over examples of all that came down.

  To look at those of the weights, too, would cost a tenth of a step.
  """
  return [leaf for leaf in jax.tree.leaves(gradient) if leaf.ndim < 2]


def _all_finite(tree: Any) -> base.Array:
  finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
  return jnp.all(jnp.stack(finite))
