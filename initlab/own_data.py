"""A data set of anybody's: arrays, or a function that returns them.

    def mine():                        # in mylab/data.py
      return x, y                      # `[N, ...]` numbers, `[N]` labels

`--dataset=mylab.data.mine` names it, and in Python `dataset=mine` is the
function itself; `of_arrays` makes such a function of arrays. A function that
returns one pair of arrays leaves the splits to this module: of a fixed shuffle
of the N examples, the first N // 6 are the test split, the next N // 6 the
validation split and the others the training split. To choose them, return a
dictionary: {'train': (x, y), 'valid': (x, y), 'test': (x, y)}, or some of them.

The bytes are part of the identity of a result, as those of every data set.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from initlab import base
from initlab.functions import label

SPLITS = ('train', 'valid', 'test')

# `[N, n_0]` float32 inputs and `[N]` int32 labels.
Pair = tuple[np.ndarray, np.ndarray]

_HELD_OUT = 6  # one sixth of the examples each for test and validation


@dataclasses.dataclass(frozen=True)
class Arrays:
  """Arrays as a function that returns them; equal for equal bytes.

  name: 'array-' and a digest of the bytes.
  content: a pair of arrays, or split -> pair.
  """

  name: str
  content: Any = dataclasses.field(compare=False, repr=False)

  def __post_init__(self):
    # What tables and rows call a function.
    object.__setattr__(self, '__qualname__', self.name)

  def __call__(self) -> Any:
    return self.content


def of_arrays(content: Any) -> Arrays:
  """A data set of arrays.

  Args:
    content: `(x, y)`, or a dictionary of them by split.

  Raises:
    UserError: as `splits`.

  Examples:
    >>> x = np.eye(3)
    >>> of_arrays({'test': (x, [0, 1, 1])}).name
    'array-c26f44f3'
  """
  if isinstance(content, Mapping):
    kept = {name: _checked(name, pair) for name, pair in content.items()}
    named = list(kept.items())
  else:
    kept = _checked('data', content)
    named = [('', kept)]
  digest = hashlib.sha256()
  for name, pair in named:
    for array in pair:
      digest.update(f'{name} {array.shape} '.encode())
      digest.update(array.tobytes())
  return Arrays(f'array-{digest.hexdigest()[:8]}', kept)


@functools.cache
def splits(function: Callable[[], Any]) -> dict[str, Pair]:
  """The splits that a function returns, calling it once.

  Args:
    function: `() -> (x, y)`, or `() -> {split: (x, y)}`.

  Raises:
    UserError: it needs arguments or returns something else, a split is unknown
      or there is none, arrays differ in length or in the size of an example, an
      input is not finite, a label is not an integer from 0, or one pair has
      fewer than 6 examples.
  """
  try:
    content = function()
  except TypeError as error:
    raise base.UserError(
      f'{label(function)} is called without arguments, and returns (x, y): '
      f'{error}'
    ) from error
  if isinstance(content, Mapping):
    found = {name: _checked(name, pair) for name, pair in content.items()}
  else:
    found = _held_out(label(function), _checked(label(function), content))
  if not found:
    raise base.UserError(
      f'{label(function)} returns an empty dictionary, where its keys are some '
      f'of {", ".join(SPLITS)}'
    )
  for name in found:
    base.lookup(dict.fromkeys(SPLITS), 'split', name)
  sizes = {pair[0].shape[1] for pair in found.values()}
  if len(sizes) != 1:
    raise base.UserError(
      f'{label(function)}: examples have {" and ".join(map(str, sizes))} '
      'numbers in different splits'
    )
  return found


def places(count: int) -> dict[str, np.ndarray]:
  """Split -> which of `count` examples it has, see the module's docstring.

  Raises:
    UserError: there are fewer than 6.
  """
  part = count // _HELD_OUT
  if not part:
    raise base.UserError(f'{count} examples, of at least {_HELD_OUT}')
  # NumPy guarantees the stream of RandomState never to change.
  order = np.random.RandomState(0).permutation(count)
  found = order[2 * part :], order[part : 2 * part], order[:part]
  return dict(zip(SPLITS, found, strict=True))


def _held_out(name: str, pair: Pair) -> dict[str, Pair]:
  x, y = pair
  try:
    found = places(len(y))
  except base.UserError as error:
    raise base.UserError(f'{name}: {error}') from None
  return {split: (x[place], y[place]) for split, place in found.items()}


def _checked(name: str, pair: Any) -> Pair:
  """Copies of inputs, flattened but for the first axis, and of labels."""
  if not isinstance(pair, tuple | list) or len(pair) != 2:
    raise base.UserError(f'{name}: a pair (x, y) of arrays is needed')
  try:
    x, y = np.array(pair[0], np.float32), np.array(pair[1])
  except (TypeError, ValueError) as error:
    raise base.UserError(f'{name}: x is not an array of numbers') from error
  if x.ndim < 2 or not x.size:
    raise base.UserError(
      f'{name}: x has the shape {x.shape}, not [examples, inputs]'
    )
  if not np.isfinite(x).all():
    raise base.UserError(f'{name}: x holds numbers that are not finite')
  whole = y.dtype.kind in 'iu' and y.shape == x.shape[:1]
  if not whole or y.min() < 0 or y.max() >= 2**31:
    raise base.UserError(
      f'{name}: y holds {y.dtype} of shape {y.shape}; it takes one integer '
      f'label from 0 for each of the {len(x)} examples'
    )
  return x.reshape(len(x), -1), y.astype(np.int32)
