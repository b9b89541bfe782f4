"""What a stored result is named by: everything that decides its bits."""

from collections.abc import Iterator, Mapping, Sequence
import hashlib
import json
import pathlib
import types
import typing
from typing import Any, NamedTuple

import numpy as np

from initlab import base, functions

VERSION = 1  # Of the layout above; part of the identity.


class Index(NamedTuple):
  """An axis of a Result that becomes an index column.

  dtype: of the column.
  whole: the coordinate of what is not resolved along the axis.
  first: the first coordinate along it.
  """

  dtype: str
  whole: int
  first: int


# The bits that say which program has computed a setting, see `program`.
PROGRAM_BITS = ('program', 'data')

INDICES = {'step': Index('int32', -1, 0), 'layer': Index('int16', 0, 1)}


class Setting(NamedTuple):
  """A folder of shards with what is needed to read and write it.

  path: the folder.
  identity: all that decides the bits, as JSON values.
  axes: field of Result -> the names of its axes, the seeds' not counted.
  constants: name -> (Python type, value) of the columns that tell settings
    apart; None is null.
  block: the number of seeds a shard has room for.
  environment: what is worth knowing of who wrote, but decides nothing.
  coordinates: axis -> its ascending coordinates, where they do not just count.
  """

  path: pathlib.Path
  identity: dict[str, Any]
  axes: dict[str, tuple[str, ...]]
  constants: dict[str, tuple[type, Any]]
  block: int
  environment: Mapping[str, Any]
  coordinates: Mapping[str, Sequence[int]]


# Identity.


def axes_of(field: str, hint: Any) -> tuple[str, ...]:
  """The axes in a field's annotation."""
  axes = getattr(hint, '__metadata__', (None,))[0]
  known = (*INDICES, 'value')
  if axes is None or list(axes) != [name for name in known if name in axes]:
    raise base.UserError(
      f'field {field} of the Result must be annotated with axes that are some '
      f'of {", ".join(known)}, in this order, not with {hint}'
    )
  return tuple(axes)


def constant(hint: Any, value: Any) -> tuple[type, Any]:
  """The type of a constant column, bool, int, float or else str, and its value.

  The type follows the hint, not the value, so that all settings of an
  experiment have one schema; and 1 and 1.0 are one gain. A function stands as
  its dotted path.

  Raises:
    UserError: no dotted path leads to the function.
  """
  if callable(value):
    return str, functions.path(value)
  union = typing.get_origin(hint) in (typing.Union, types.UnionType)
  kinds = set(typing.get_args(hint)) - {type(None)} if union else {hint}
  kind = kinds.pop()
  kind = kind if kind in (bool, int, float) and not kinds else str
  return kind, float(value) if kind is float and value is not None else value


def canonical(tree: Any) -> str:
  """JSON of a tree, the same for equal trees."""
  return json.dumps(tree, sort_keys=True, default=_refuse_value)


def sha256(content: bytes) -> str:
  """Hexadecimal SHA-256."""
  return hashlib.sha256(content).hexdigest()


def _refuse_value(value: Any) -> Any:
  if isinstance(value, np.generic):
    return value.item()
  raise base.UserError(f'{value!r} cannot be part of the identity of a setting')


def without_program(identity: Mapping[str, Any]) -> str:
  """What a setting has in common with itself under an earlier program."""
  bits = {
    name: value
    for name, value in identity['bits'].items()
    if name not in PROGRAM_BITS
  }
  rest = {name: identity[name] for name in ('experiment', 'config')}
  return canonical(rest | {'bits': bits})


def refuse_twins(names: list[str]) -> None:
  """Two columns of one name; DuckDB does not tell upper from lower case."""
  lower = [name.lower() for name in names]
  twins = sorted({name for name in names if lower.count(name.lower()) > 1})
  if twins:
    raise base.UserError(f'two columns have the same name: {", ".join(twins)}')


def refuse_other(ours: Any, theirs: Any, path: pathlib.Path) -> None:
  """Refuses a file of another setting, saying how it differs."""
  ours, theirs = dict(_leaves(ours)), dict(_leaves(theirs))
  differences = [
    f'{name} is {theirs.get(name, "absent")} there and '
    f'{ours.get(name, "absent")} here'
    for name in sorted(ours.keys() | theirs.keys())
    if ours.get(name) != theirs.get(name)
  ]
  if differences:
    raise base.UserError(
      f'{path} is of another setting: {"; ".join(differences)}'
    )


def _leaves(tree: Any, name: str = '') -> Iterator[tuple[str, str]]:
  if isinstance(tree, dict) and tree:
    for key, value in tree.items():
      yield from _leaves(value, f'{name}.{key}' if name else key)
  else:
    yield name, canonical(tree)
