"""Small languages that need attention, drawn on the device from a key.

In each the token to be predicted is fixed by other tokens, by those that came
before except in `opposites`, and it is independent of the last token alone: a
model that looks at no other predicts no better than `Language.blind`.

References:
  Copying: Jelassi et al., 2024, Repeat after me. https://arxiv.org/abs/2402.01032
  Induction: Olsson et al., 2022, In-context learning and induction heads.
  https://arxiv.org/abs/2209.11895
  Modular sums: Power et al., 2022, Grokking. https://arxiv.org/abs/2201.02177
"""

from collections.abc import Callable
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, keys


class Sequences(NamedTuple):
  """Sequences to learn from.

  tokens: `[B, T]` int32.
  targets: `[B, T]` int32, the token that follows each, unless the language says
    otherwise; 0 where none is asked.
  asked: `[B, T]` bool, where there is a target.
  """

  tokens: base.Array
  targets: base.Array
  asked: base.Array


class Language(NamedTuple):
  """A distribution of sequences.

  vocabulary: how many tokens there are.
  length: T, of every sequence.
  draw: `(key, size) -> Sequences`, pure; `jit` and `vmap` take it.
  blind: nats per asked token of the best prediction from the last token alone;
    the best prediction from all tokens has 0.
  """

  vocabulary: int
  length: int
  draw: Callable[[base.Key, int], Sequences]
  blind: float


def copying(symbols: int = 8, size: int = 8) -> Language:
  """`size` random symbols, a separator, and the same symbols again.

  Args:
    symbols: how many there are; the separator is one more token.
    size: of what is copied; a sequence has 2 size tokens.

  Examples:
    >>> sequences = copying(symbols=4, size=3).draw(keys.root(0), 1)
    >>> sequences.tokens[0].tolist(), sequences.targets[0, 3:].tolist()
    ([1, 0, 0, 4, 1, 0], [1, 0, 0])
  """
  base.check_whole(symbols, 2, 'symbols')
  base.check_whole(size, 1, 'size')

  def draw(key: base.Key, count: int) -> Sequences:
    word = jax.random.randint(key, (count, size), 0, symbols)
    separator = jnp.full((count, 1), symbols)
    text = jnp.concatenate([word, separator, word], axis=1)
    asked = jnp.arange(2 * size) >= size
    return _sequences(text, jnp.broadcast_to(asked, (count, 2 * size)))

  return Language(symbols + 1, 2 * size, draw, math.log(symbols))


def induction(symbols: int = 16, queries: int = 8) -> Language:
  """What followed a token when it was there before.

  All symbols in a random order, then queries: a random symbol (not the last one
  of the order) and the one that followed it. Orders differ between sequences,
  so no pair can be learned by heart, and queries are random, so no distance to
  look back at can be, either.

  Args:
    symbols: how many there are; they are the vocabulary.
    queries: how many successors are asked for; a sequence has
      symbols + 2 queries - 1 tokens.

  Examples:
    >>> sequences = induction(symbols=3, queries=2).draw(keys.root(0), 1)
    >>> sequences.tokens[0].tolist(), sequences.targets[0].tolist()
    ([2, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 1])
  """
  base.check_whole(symbols, 3, 'symbols')
  base.check_whole(queries, 1, 'queries')
  length = symbols + 2 * queries - 1

  def draw(key: base.Key, count: int) -> Sequences:
    order = jnp.broadcast_to(jnp.arange(symbols), (count, symbols))
    order = jax.random.permutation(
      keys.stream(key, 'order'), order, axis=1, independent=True
    )
    place = jax.random.randint(
      keys.stream(key, 'queries'), (count, queries, 1), 0, symbols - 1
    )
    pairs = jnp.concatenate([place, place + 1], axis=2)
    pairs = jnp.take_along_axis(order, pairs.reshape(count, -1), axis=1)
    position = jnp.arange(length)
    asked = (position >= symbols) & ((position - symbols) % 2 == 0)
    return _sequences(
      jnp.concatenate([order, pairs], axis=1),
      jnp.broadcast_to(asked, (count, length)),
    )

  return Language(symbols, length, draw, math.log(symbols - 1))


def opposites(symbols: int = 16, length: int = 16) -> Language:
  """Random symbols; the target of each is the one half a sequence away.

  No token tells its own target, so attention may be full, as in an encoder.

  Args:
    symbols: how many there are; they are the vocabulary.
    length: of a sequence, even.

  Raises:
    UserError: the length is odd, or less than two symbols or tokens.

  Examples:
    >>> sequences = opposites(symbols=4, length=4).draw(keys.root(0), 1)
    >>> sequences.tokens[0].tolist(), sequences.targets[0].tolist()
    ([1, 0, 0, 1], [0, 1, 1, 0])
  """
  base.check_whole(symbols, 2, 'symbols')
  base.check_whole(length, 2, 'length')
  if length % 2:
    raise base.UserError(f'length is at least 2 and even, not {length}')

  def draw(key: base.Key, count: int) -> Sequences:
    tokens = jax.random.randint(key, (count, length), 0, symbols)
    targets = jnp.roll(tokens, length // 2, axis=1)
    return Sequences(tokens, targets, jnp.ones((count, length), bool))

  return Language(symbols, length, draw, math.log(symbols))


def modular_sums(modulus: int = 7, terms: int = 2) -> Language:
  """Random numbers, an equals sign, and their sum modulo `modulus`.

  Args:
    modulus: above 1; the equals sign is one more token.
    terms: how many numbers are added.

  Examples:
    >>> sequences = modular_sums(modulus=5).draw(keys.root(1), 1)
    >>> sequences.tokens[0].tolist(), sequences.targets[0].tolist()
    ([1, 2, 5], [0, 0, 3])
  """
  base.check_whole(modulus, 2, 'modulus')
  base.check_whole(terms, 2, 'terms')

  def draw(key: base.Key, count: int) -> Sequences:
    numbers = jax.random.randint(key, (count, terms), 0, modulus)
    equals = jnp.full((count, 1), modulus)
    total = jnp.sum(numbers, axis=1, keepdims=True) % modulus
    text = jnp.concatenate([numbers, equals, total], axis=1)
    asked = jnp.arange(terms + 1) == terms
    return _sequences(text, jnp.broadcast_to(asked, (count, terms + 1)))

  return Language(modulus + 1, terms + 1, draw, math.log(modulus))


def loss(logits: base.Array, sequences: Sequences) -> base.Array:
  """Mean cross-entropy of the asked tokens, `[]`, in nats.

  Args:
    logits: `[B, T, vocabulary]`.
    sequences: that the logits are of.
  """
  logits = jax.nn.log_softmax(logits)
  targets = sequences.targets[..., None]
  found = -jnp.take_along_axis(logits, targets, axis=-1)[..., 0]
  return jnp.mean(found, where=sequences.asked)


def accuracy(logits: base.Array, sequences: Sequences) -> base.Array:
  """The share of asked tokens that are the most probable one, `[]`."""
  right = jnp.argmax(logits, axis=-1) == sequences.targets
  return jnp.mean(right, where=sequences.asked)


def _sequences(text: base.Array, asked: base.Array) -> Sequences:
  """`[B, T + 1]` tokens, of which the asked ones become targets."""
  text = text.astype(jnp.int32)
  targets = jnp.where(asked, text[:, 1:], 0)
  return Sequences(text[:, :-1], targets, asked)
