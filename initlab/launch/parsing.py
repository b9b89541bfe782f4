"""Parses flag values; errors name the flag, its text and what is allowed."""

from collections.abc import Callable, Iterable
import dataclasses
import re
import typing
from typing import Any

import numpy as np

from initlab import base, keys
from initlab.experiment import KINDS

_TRUTH = {'true': True, 'false': False}


def knob(field: dataclasses.Field, hint: Any, word: str) -> Any:
  """Parses one value of a knob; bounds and choices are the Config's to check.

  Args:
    field: of the Config.
    hint: its type: int, float, str, bool or `tuple[int, ...]` of widths.
    word: the text.

  Raises:
    UserError: the knob does not accept it.
  """
  where = f'--{field.name}={word}'
  if not word:
    raise base.UserError(f'--{field.name}: there is an empty value in the list')
  if read := field.metadata['read']:
    try:
      return read(word)
    except base.UserError as error:
      raise base.UserError(f'{where}: {error}') from None
  if hint is bool:
    if word.lower() not in _TRUTH:
      raise base.UserError(f'{where}: it takes {KINDS[bool]}')
    return _TRUTH[word.lower()]
  if typing.get_origin(hint) is tuple:
    return _widths(where, word)
  try:
    value = hint(word)
    if hint is float and not np.isfinite(value):
      raise ValueError
  except ValueError:
    raise base.UserError(f'{where}: it takes {KINDS[hint]}') from None
  return value


def _widths(where: str, word: str) -> tuple[int, ...]:
  """'784-256x5-10' -> (784, 256, 256, 256, 256, 256, 10)."""
  widths = []
  for part in word.split('-'):
    match = re.fullmatch(r'(\d+)(?:x(\d+))?', part)
    if not match:
      raise base.UserError(
        f'{where}: widths look like 1000x5 or 500-1000-500, each at least 1'
      )
    widths += [int(match[1])] * int(match[2] or 1)
  return tuple(widths)


def seeds(value: str | int | Iterable[int]) -> np.ndarray:
  """The seeds of `--seeds`, `[S]` ascending, each once.

  Args:
    value: a comma list, as text, of seeds and of ranges first:end, which
      exclude the end; or as for `keys.seeds`.

  Raises:
    UserError: the text is not such a list, or a range is empty; or as there.

  Examples:
    >>> seeds('0:4,17').tolist(), seeds(range(3)).tolist()
    ([0, 1, 2, 3, 17], [0, 1, 2])
  """
  if not isinstance(value, str):
    return keys.seeds(value)
  found = set()
  for part in value.split(','):
    match = re.fullmatch(r'\s*(\d+)(?::(\d+))?\s*', part)
    if not match:
      raise base.UserError('it takes seeds and ranges, such as 0:32 or 0:8,17')
    first, end = int(match[1]), int(match[2] or int(match[1]) + 1)
    if end > keys.SEED_LIMIT:
      raise base.UserError(f'{part}: a seed is under 2**32')
    if first >= end:
      raise base.UserError(f'{part}: there is no seed in this range')
    found.update(range(first, end))
  return keys.seeds(found)


def natural(
  least: int, word: str, instead: int | None = 0
) -> Callable[[str | int | None], int | None]:
  """A parser of whole numbers and of one special word.

  Args:
    least: the smallest number.
    word: the special word.
    instead: its value.

  Examples:
    >>> read = natural(1, 'auto')
    >>> read('8'), read(8), read('auto')
    (8, 8, 0)
  """

  def read(value: str | int | None) -> int | None:
    if value in (word, instead):
      return instead
    text = str(value)
    if not text.isascii() or not text.isdigit() or int(text) < least:
      raise base.UserError(f'it takes a whole number from {least}, or {word}')
    return int(text)

  return read
