"""Optimizers and learning-rate schedules by name, built on optax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from initlab import base, hessian, keys

_SMALLEST_FACTOR = 0.01  # final factor of the step and exponential schedules
_WARM_UP = 0.1  # share of all steps


# Optimizers.


def optimizer(
  name: str, schedule: str, learning_rate: base.ArrayLike, steps: int
) -> optax.GradientTransformationExtraArgs:
  """An optimizer whose learning rate follows a schedule.

  Args:
    name: a key of OPTIMIZERS.
    schedule: a key of SCHEDULES.
    learning_rate: the largest of the schedule; a number, or traced.
    steps: of the whole training.

  Raises:
    UserError: a name is unknown.
  """
  make = base.lookup(OPTIMIZERS, 'optimizer', name)
  factor = base.lookup(SCHEDULES, 'schedule', schedule)(steps)
  return promoting(
    make(lambda count: learning_rate * factor(count.astype(float)))
  )


def promoting(
  transformation: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
  """One of optax, which mixes integers and floats, under strict promotion."""
  inner = optax.with_extra_args_support(transformation)

  def update(*args: Any, **extra: Any) -> Any:
    with jax.numpy_dtype_promotion('standard'):
      return inner.update(*args, **extra)

  return optax.GradientTransformationExtraArgs(inner.init, update)


def descent(
  learning_rate: base.ArrayLike,
) -> optax.GradientTransformationExtraArgs:
  """Plain gradient descent at one rate; a number, or traced."""
  return optimizer('sgd', 'constant', learning_rate, 1)


def of_config(config: Any) -> optax.GradientTransformationExtraArgs:
  """The optimizer of a Config with the knobs `optimizer`, `learning_rate`,
  `steps` and, where the rate is not constant, `schedule`.
  """
  schedule = getattr(config, 'schedule', 'constant')
  rate = config.learning_rate
  return optimizer(config.optimizer, schedule, rate, config.steps)


def check(config: Any) -> None:
  """Refuses L-BFGS on minibatches.

  Args:
    config: with the knobs `optimizer` and `batch_size`.

  Raises:
    UserError: they contradict each other.
  """
  if config.optimizer == 'lbfgs' and config.batch_size:
    raise base.UserError(
      f'--batch_size={config.batch_size}: lbfgs needs 0, full batches'
    )


OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
  'sgd': optax.sgd,
  'momentum': lambda rate: optax.sgd(rate, momentum=0.9),
  'nesterov': lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True),
  'rmsprop': optax.rmsprop,
  'adam': optax.adam,
  'adamw': optax.adamw,
  'lbfgs': optax.lbfgs,
  'curvature': lambda rate: optax.chain(
    scale_by_diagonal(), optax.scale_by_learning_rate(rate)
  ),
}

# `steps -> (count -> factor)`: factor of the learning rate at a step, between
# 0 and 1; counts are floats.
SCHEDULES: dict[str, Callable[[int], optax.Schedule]] = {
  'constant': lambda steps: optax.constant_schedule(1.0),
  'linear': lambda steps: optax.linear_schedule(1.0, 0.0, steps),
  'cosine': lambda steps: optax.cosine_decay_schedule(1.0, steps),
  'step': lambda steps: optax.piecewise_constant_schedule(
    1.0, {steps // 2: 0.1, 3 * steps // 4: 0.1}
  ),
  'exponential': lambda steps: optax.exponential_decay(
    1.0, steps, _SMALLEST_FACTOR
  ),
  'warmup': lambda steps: optax.linear_schedule(0.0, 1.0, _warm_up(steps)),
  'warmup_cosine': lambda steps: optax.warmup_cosine_decay_schedule(
    0.0, 1.0, _warm_up(steps), max(steps, _warm_up(steps) + 1)
  ),
}


def _warm_up(steps: int) -> int:
  return max(1, round(_WARM_UP * steps))


DAMPING = 1e-4  # bounds the step size: the factor of the rate is at most 1e4
_DECAY = 0.99  # of the moving average, per product
_EVERY = 10  # steps between products


class State(NamedTuple):
  """The state of the diagonal Hessian estimate.

  count: `[]` int32, steps.
  average: moving average of v (H v), like the parameters, without bias
    correction.
  """

  count: base.Array
  average: Any


def scale_by_diagonal() -> optax.GradientTransformationExtraArgs:
  """Divides a gradient by |h| + DAMPING, h an estimate of diag H.

  `update` needs `value_fn`. The random signs of a step are the same for every
  seed.
  """

  def init(params: Any) -> State:
    return State(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

  def update(
    updates: Any, state: Any, params: Any = None, **extra: Any
  ) -> tuple[Any, State]:
    value_fn = extra['value_fn']
    products = state.count // _EVERY
    average = jax.lax.cond(
      state.count % _EVERY == 0,
      lambda: _averaged(state.average, value_fn, params, products),
      lambda: state.average,
    )
    share = 1 - _DECAY ** (products + 1).astype(float)
    scaled = jax.tree.map(
      lambda g, h: g / (jnp.abs(h) / share + DAMPING), updates, average
    )
    return scaled, State(state.count + 1, average)

  return optax.GradientTransformationExtraArgs(init, update)


def product(value_fn: Any, params: Any, key: base.Key) -> Any:
  """v (H v) for random signs v, whose mean is diag H, like the parameters.

  Args:
    value_fn: `params -> []`, the loss.
    params: the point of evaluation.
    key: of the signs; it is consumed.
  """
  leaves, form = jax.tree.flatten(params)
  signs = form.unflatten(
    jax.random.rademacher(keys.at(key, index), leaf.shape, leaf.dtype)
    for index, leaf in enumerate(leaves)
  )
  turned = hessian.product(value_fn, params, signs)
  return jax.tree.map(jnp.multiply, signs, turned)


def _averaged(
  average: Any, value_fn: Any, params: Any, products: base.Array
) -> Any:
  key = keys.at(
    keys.stream(keys.root(0), 'curvature'), products.astype(jnp.uint32)
  )
  return jax.tree.map(
    lambda old, new: _DECAY * old + (1 - _DECAY) * new,
    average,
    product(value_fn, params, key),
  )
