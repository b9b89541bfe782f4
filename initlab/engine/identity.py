"""The identity of a stored result: everything that determines its bits."""

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
  whole: the coordinate of values that are not resolved along the axis.
  first: the first coordinate along it.
  """

  dtype: str
  whole: int
  first: int


# Entries of the identity that identify the program, see `program`.
PROGRAM_BITS = ('program', 'data')

INDICES = {'step': Index('int32', -1, 0), 'layer': Index('int16', 0, 1)}


class Folder(NamedTuple):
  """The folder of one setting, with what is needed to read and write it.

  path: the folder.
  identity: everything that determines the bits, as JSON values.
  axes: field of Result -> the names of its axes, the seeds' not counted.
  constants: name -> (Python type, value) of the columns that distinguish
    settings; None is null.
  block: the most seeds in one shard.
  environment: versions and platform, recorded for information only.
  coordinates: axis -> its ascending coordinates, unless they are consecutive.
  """

  path: pathlib.Path
  identity: dict[str, Any]
  axes: dict[str, tuple[str, ...]]
  constants: dict[str, tuple[type, Any]]
  block: int
  environment: Mapping[str, Any]
  coordinates: Mapping[str, Sequence[int]]


# Identity.


def of_setting(
  experiment: str,
  constants: Mapping[str, tuple[type, Any]],
  bits: Mapping[str, Any],
  axes: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
  """The identity of a setting, as JSON values.

  Args:
    experiment: its name.
    constants: knob -> `constant` of its value.
    bits: what else determines the bits.
    axes: from `experiment.axes_of`.
  """
  identity = {
    'experiment': experiment,
    'config': {name: value for name, (_, value) in constants.items()},
    'bits': dict(bits),
    'schema': {'version': VERSION, 'fields': axes},
  }
  # Through JSON, so that it compares with what is read back.
  return json.loads(canonical(identity))


def constant(hint: Any, value: Any) -> tuple[type, Any]:
  """The type (bool, int, float or str) and value of a constant column.

  The type follows the hint, not the value, so that all settings of an
  experiment share one schema and gains 1 and 1.0 are equal. A function is
  recorded by its dotted path or its own name; the program digest covers its
  code.
  """
  if callable(value):
    return str, functions.label(value)
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
  """The identity without the program digests, as canonical JSON."""
  bits = {
    name: value
    for name, value in identity['bits'].items()
    if name not in PROGRAM_BITS
  }
  rest = {name: identity[name] for name in ('experiment', 'config')}
  return canonical(rest | {'bits': bits})


def refuse_twins(names: list[str]) -> None:
  """Refuses equal column names; DuckDB ignores case."""
  lower = [name.lower() for name in names]
  twins = sorted({name for name in names if lower.count(name.lower()) > 1})
  if twins:
    raise base.UserError(f'two columns have the same name: {", ".join(twins)}')


def refuse_other(ours: Any, theirs: Any, path: pathlib.Path) -> None:
  """Refuses a file of another setting, and lists the differences."""
  ours, theirs = dict(_leaves(ours)), dict(_leaves(theirs))
  differences = [
    f'{name} is {theirs.get(name, "absent")} there and '
    f'{ours.get(name, "absent")} here'
    for name in sorted(ours.keys() | theirs.keys())
    if ours.get(name) != theirs.get(name)
  ]
  if differences:
    raise base.UserError(
      f'{path} belongs to another setting: {"; ".join(differences)}'
    )


def _leaves(tree: Any, name: str = '') -> Iterator[tuple[str, str]]:
  if isinstance(tree, dict) and tree:
    for key, value in tree.items():
      yield from _leaves(value, f'{name}.{key}' if name else key)
  else:
    yield name, canonical(tree)
