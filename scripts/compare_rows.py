"""Compares the stored rows of two results folders, bit for bit.

A setting is found again by its config. A field that only one of two trees has
is named, and what both have must be equal in every bit, NaN for NaN. Exit
status 0 if all is equal, 1 if a value differs, 2 if nothing can be compared.

  scripts/compare_rows before/learning after/learning
"""

import argparse
import json
import pathlib
import sys
from typing import Any

import numpy as np
import pandas as pd

_INDEX = ['seed', 'step', 'layer']


def settings(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Config as text -> folder of its shards."""
  return {
    json.dumps(_identity(path.parent)['config'], sort_keys=True): path.parent
    for path in sorted(folder.glob('*/_setting.json'))
  }


def fields(folder: pathlib.Path) -> set[str]:
  """What was measured."""
  return set(_identity(folder)['schema']['fields'])


def _identity(folder: pathlib.Path) -> dict[str, Any]:
  return json.loads((folder / '_setting.json').read_text())


def rows(folder: pathlib.Path) -> pd.DataFrame:
  """The rows of one setting, in the order of seed, step and layer."""
  table = pd.read_parquet(sorted(folder.glob('*.parquet')))
  index = [name for name in _INDEX if name in table]
  return table.sort_values(index, kind='stable').reset_index(drop=True)


def differing(old: pd.DataFrame, new: pd.DataFrame, field: str) -> int:
  """How many rows differ in a field, as bits."""
  return sum(
    (a is None) != (b is None)
    or (
      a is not None
      and np.asarray(a, np.float32).tobytes()
      != np.asarray(b, np.float32).tobytes()
    )
    for a, b in zip(old[field], new[field], strict=True)
  )


def main() -> None:
  """Prints one line a setting."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument('old', type=pathlib.Path)
  parser.add_argument('new', type=pathlib.Path)
  arguments = parser.parse_args()
  old, new = settings(arguments.old), settings(arguments.new)
  both = sorted(set(old) & set(new))
  if not both:
    print('the two folders have no setting in common', file=sys.stderr)
    sys.exit(2)
  different = False
  for config in both:
    a, b = rows(old[config]), rows(new[config])
    measured = sorted(fields(old[config]) & fields(new[config]))
    if len(a) != len(b):
      print(f'{new[config].name}: {len(a)} rows before, {len(b)} after')
      different = True
      continue
    wrong = {name: differing(a, b, name) for name in measured}
    wrong = {name: count for name, count in wrong.items() if count}
    only = fields(old[config]) ^ fields(new[config])
    different |= bool(wrong)
    told = (
      ', '.join(f'{name} differs in {n} rows' for name, n in wrong.items())
      or f'{len(measured)} fields equal in {len(a)} rows'
    )
    extra = f'; not in both: {", ".join(sorted(only))}' if only else ''
    print(f'{new[config].name}: {told}{extra}')
  absent = len(set(old) ^ set(new))
  if absent:
    print(f'{absent} settings are in one of the two only')
  sys.exit(int(different))


if __name__ == '__main__':
  main()
