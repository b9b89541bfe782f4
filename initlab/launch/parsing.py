"""The texts of flags as values; an error names flag, text and what goes."""

from collections.abc import Sequence
import dataclasses
import functools
import re
import typing
from typing import Any

import numpy as np

from initlab import base, keys


def knob(field: dataclasses.Field, hint: Any, word: str) -> Any:
  """One value of a knob.

  Args:
    field: of the Config.
    hint: its type: int, float, str or `tuple[int, ...]` of widths.
    word: the text.

  Raises:
    UserError: the knob does not take it.
  """
  where = f'--{field.name}={word}'
  if not word:
    raise base.UserError(f'--{field.name}: there is an empty value in the list')
  choices, read = field.metadata['choices'], field.metadata['read']
  if read or choices:
    read = read or functools.partial(_choice, field.name, choices)
    try:
      return read(word)
    except base.UserError as error:
      raise base.UserError(f'{where}: {error}') from None
  if typing.get_origin(hint) is tuple:
    return _widths(where, word)
  kinds = {int: 'an integer', float: 'a finite number', str: 'a word'}
  try:
    value = hint(word)
    if hint is float and not np.isfinite(value):
      raise ValueError
  except ValueError:
    raise base.UserError(f'{where}: it takes {kinds[hint]}') from None
  return value


def _choice(name: str, choices: Sequence[str], word: str) -> str:
  base.lookup(dict.fromkeys(choices), name, word)
  return word


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


def seeds(text: str) -> np.ndarray:
  """The seeds of `--seeds`, `[S]` ascending, each once.

  Args:
    text: a comma list of seeds and of ranges first:end, the end left out.

  Raises:
    UserError: not such a list, an empty range, or a seed outside 32 bits.

  Examples:
    >>> seeds('0:4,17').tolist()
    [0, 1, 2, 3, 17]
  """
  found = set()
  for part in text.split(','):
    match = re.fullmatch(r'\s*(\d+)\s*(?::\s*(\d+)\s*)?', part)
    if not match:
      raise base.UserError(
        f'--seeds={text}: it takes seeds and ranges, such as 0:32 or 0:8,17'
      )
    first, end = int(match[1]), int(match[2] or int(match[1]) + 1)
    if end > keys.SEED_LIMIT:
      raise base.UserError(f'--seeds={part}: a seed is under 2**32')
    if first >= end:
      raise base.UserError(f'--seeds={part}: there is no seed in this range')
    found.update(range(first, end))
  return np.array(sorted(found), np.uint32)


def natural(name: str, text: str, least: int = 0, word: str = '') -> int:
  """A whole number, or 0 for the word that stands in its place.

  Raises:
    UserError: it is neither, or below the least.
  """
  if word and text == word:
    return 0
  if not text.isascii() or not text.isdigit() or int(text) < least:
    choice = f', or {word}' if word else ''
    raise base.UserError(
      f'--{name}={text}: it takes a whole number from {least}{choice}'
    )
  return int(text)


def seconds(name: str, text: str) -> float:
  """A number of seconds.

  Raises:
    UserError: it is not one, or below zero.
  """
  try:
    value = float(text)
    if not 0 <= value < np.inf:
      raise ValueError
  except ValueError:
    raise base.UserError(
      f'--{name}={text}: it takes a number of seconds from 0'
    ) from None
  return value
