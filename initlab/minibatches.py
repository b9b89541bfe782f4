"""Sources of minibatches.

An `Examples` gives the minibatch of a step as a pure function of key and step,
so that an interrupted training resumes with the same minibatches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, keys


class Examples(NamedTuple):
  """A source of minibatches.

  A cursor (e.g. an epoch's permutation) is constant over a range of steps;
  keeping it out of the inner loop avoids copying it. Steps are int32.

  open: `step -> cursor` of the range that contains the step.
  end: `step -> step`, the first one after that range.
  turn: `(cursor, step) -> cursor` of the next range, which starts at `step`.
  batch: `(cursor, step) -> batch`, the minibatch of a step.
  """

  open: Callable[[base.Array], Any]
  end: Callable[[base.Array], base.Array]
  turn: Callable[[Any, base.Array], Any]
  batch: Callable[[Any, base.Array], Any]


# Minibatches.


def examples(
  key: base.Key,
  draw: Callable[[base.Key, int], Any] | None,
  train: Any,
  size: int,
) -> Examples:
  """Minibatches of a data set.

  Args:
    key: the stream of the data; it is consumed.
    draw: of an endless data set; None for a finite one.
    train: all training examples of a finite one, see `shuffled`.
    size: of a minibatch; 0 for all training examples.

  Raises:
    UserError: there are no examples, or fewer than `size`.
  """
  if draw is not None:
    return generated(key, draw, size)
  if train is None:
    raise base.UserError('there are no training examples')
  return shuffled(key, train, size) if size else whole(train)


def generated(
  key: base.Key, draw: Callable[[base.Key, int], Any], size: int
) -> Examples:
  """Fresh examples at every step; step t draws from `keys.at(key, t)`.

  Args:
    key: the stream of the data; it is consumed.
    draw: `(key, size) -> batch`, any pytree; of a `base.Dataset`, a `Batch`.
    size: of a minibatch.
  """

  def batch(cursor: tuple, step: base.Array) -> Any:
    del cursor
    return draw(keys.at(key, step.astype(jnp.uint32)), size)

  return _endless(batch)


def shuffled(key: base.Key, data: Any, size: int) -> Examples:
  """Every example once per epoch, shuffled.

  A minibatch may span the end of one epoch and the start of the next. The
  permutation of epoch k is drawn from `keys.at(key, k)`.

  Args:
    key: the stream of the data; it is consumed.
    data: `N` examples, a pytree of arrays `[N, ...]`; `N` times the number of
      epochs is below 2^32.
    size: of a minibatch, from 1 to `N`.

  Raises:
    UserError: the size is not from 1 to N.
  """
  count = len(jax.tree.leaves(data)[0])
  if not 1 <= size <= count:
    raise base.UserError(
      f'batch_size={size}: it must be from 1 to {count}, the number of '
      'training examples, or 0 for all of them'
    )

  def order(epoch: base.Array) -> base.Array:
    return jax.random.permutation(keys.at(key, epoch), count)

  def place(step: base.Array) -> tuple[base.Array, base.Array]:
    taken = step.astype(jnp.uint32) * jnp.uint32(size)
    return taken // jnp.uint32(count), taken % jnp.uint32(count)

  def two_epochs(step: base.Array) -> base.Array:
    epoch, _ = place(step)
    return jnp.concatenate([order(epoch), order(epoch + jnp.uint32(1))])

  def end(step: base.Array) -> base.Array:
    examples = (place(step)[0] + jnp.uint32(1)) * jnp.uint32(count)
    return ((examples - jnp.uint32(1)) // jnp.uint32(size)).astype(
      jnp.int32
    ) + 1

  def turn(orders: base.Array, step: base.Array) -> base.Array:
    epoch, _ = place(step)
    return jnp.concatenate([orders[count:], order(epoch + jnp.uint32(1))])

  def batch(orders: base.Array, step: base.Array) -> Any:
    _, offset = place(step)
    rows = jax.lax.dynamic_slice(orders, (offset.astype(jnp.int32),), (size,))
    return jax.tree.map(lambda x: x[rows], data)

  return Examples(two_epochs, end, turn, batch)


def whole(data: Any) -> Examples:
  """All examples at every step; None if the objective takes no data."""
  return _endless(lambda cursor, step: data)


def _endless(batch: Callable[[Any, base.Array], Any]) -> Examples:
  """Minibatches without a cursor."""
  end = lambda step: jnp.full((), jnp.iinfo(jnp.int32).max, jnp.int32)
  return Examples(lambda step: (), end, lambda cursor, step: cursor, batch)
