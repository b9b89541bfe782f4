"""Keys: the only code that derives one random key from another.

The tree of keys, and the only verb, which is to fold in:

    root(root_seed) - at(seed) -+- stream('init') - at(layer) -+- stream('w')
                                |                              +- stream('b')
                                +- stream('data') - at(step)

A node has either numbered children (`at`) or named ones (`stream`), never both,
so that no index can meet a name. No setting of an experiment is folded in: seed
3 draws the same bits under every scheme, so comparisons are paired by seed.
"""

from collections.abc import Iterable
import hashlib
import operator
from typing import Any

import jax
import numpy as np

from initlab import base

SEED_LIMIT = 2**32


def root(root_seed: int) -> base.Key:
  """The key of a whole study, threefry whatever JAX's default generator is.

  Args:
    root_seed: an integer, 0 <= root_seed < 2**32. JAX itself would wrap larger
      and negative ones round in silence.

  Returns:
    A typed key.

  Raises:
    UserError: the seed is not such an integer.

  Examples:
    >>> jax.random.key_data(root(7)).tolist()
    [0, 7]
  """
  return jax.random.key(_checked(root_seed, 'root seed'), impl='threefry2x32')


def at(key: base.Key, index: int | base.Array) -> base.Key:
  """The numbered child of a key: of seed, layer or step `index`.

  Args:
    key: any key; it is consumed.
    index: an integer, 0 <= index < 2**32, or a traced unsigned one.

  Returns:
    `fold_in(key, index)`. It depends on nothing else: not on how many children
    are drawn, nor in what order or on which device.

  Raises:
    UserError: the index is a Python integer outside 32 bits.
  """
  if not isinstance(index, jax.Array):
    index = _checked(index, 'index')
  return jax.random.fold_in(key, index)


def stream(key: base.Key, name: str) -> base.Key:
  """The named child of a key, one name a purpose: 'init', 'data', 'w', 'b'.

  Args:
    key: any key; it is consumed.
    name: the purpose. The first 32 bits of its SHA-256 are folded in.

  Returns:
    A key.
  """
  digest = hashlib.sha256(name.encode()).digest()
  return jax.random.fold_in(key, int.from_bytes(digest[:4], 'big'))


def seeds(which: int | Iterable[int]) -> np.ndarray:
  """The seeds of a study, `[S]` uint32, ascending, each once.

  Args:
    which: integers, 0 <= seed < 2**32; or a number, for the first so many.

  Raises:
    UserError: a seed is not such an integer, or there is none.

  Examples:
    >>> seeds(3).tolist(), seeds([17, 0, 17]).tolist()
    ([0, 1, 2], [0, 17])
  """
  if not isinstance(which, Iterable):
    which = range(_checked(which, 'number of seeds'))
  found = sorted({_checked(each, 'seed') for each in which})
  if not found:
    raise base.UserError('at least one seed')
  return np.array(found, np.uint32)


def is_key(x: Any) -> bool:
  """Whether it is an array of keys, rather than of numbers."""
  of_jax = isinstance(x, jax.Array)
  return of_jax and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _checked(value: int, what: str) -> int:
  try:
    value = operator.index(value)
  except TypeError:
    raise base.UserError(f'{what} {value!r} is not an integer') from None
  if not 0 <= value < SEED_LIMIT:
    raise base.UserError(
      f'{what} {value} is outside 32 bits: 0 <= {what} < 2**32'
    )
  return value
