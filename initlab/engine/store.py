"""Results on disk. The only module that writes results.

    <root>/<experiment>/<prefix>-<digest>/_setting.json
                                          seeds-0000000000-0000000063.parquet
                                          seeds-0000000064-0000000127.parquet

A folder is one setting: `digest` is of everything that decides the bits, never
of the clock. A shard is one aligned block of seeds. It is only ever replaced
whole, by one that holds more seeds, so that done means stored, any number of
processes and hosts write without locks, and no seed is in two files. A writer
that loses a race on one block loses seeds, never bits: they stay `missing`.

The digest is of the program, too, see `program`. What an earlier program has
stored of a setting moves out of the readers' way, to be there when that program
is back:

    <root>/_earlier/<experiment>/<prefix>-<digest>/

A row is one seed and one place in the network: column `seed`, then those of
`step` and `layer` that the Result's annotations name, then one float32 column a
field, a list where a field holds samples. Step -1 and layer 0 stand for the
whole; a field is null on the rows that are not its own. Constant columns tell
settings apart: `run` (the folder), the config's fields, whatever decides the
bits. One line reads all settings of an experiment:

    pd.read_parquet('results/variance')
    pl.read_parquet('results/variance/**/*.parquet')
    duckdb.sql("from 'results/variance/**/*.parquet'")

pandas reads every file there whose name, or whose folder's, does not start with
`_` or `.`: whatever else is put beside the settings must start with one.
"""

from collections.abc import Iterator, Mapping, Sequence
import itertools
import json
import os
import pathlib
import re
import typing
from typing import Any
import warnings

import numpy as np

from initlab import base
from initlab.engine import files, shards
from initlab.engine.identity import (
  INDICES,
  PROGRAM_BITS,
  VERSION,
  Setting,
  axes_of,
  canonical,
  constant,
  refuse_other,
  refuse_twins,
  sha256,
  without_program,
)


class MissingSeeds(base.UserError):
  """Seeds that were asked for are not on disk, or no longer intact there."""


def open_setting(
  root: str | os.PathLike,
  experiment: str,
  prefix: str,
  config: Any,
  bits: Mapping[str, Any],
  result_type: type,
  *,
  block: int,
  environment: Mapping[str, Any],
  coordinates: Mapping[str, Sequence[int]] | None = None,
  create: bool = True,
) -> Setting:
  """Finds or makes the folder of one setting.

  Args:
    root: folder of all results.
    experiment: name of its folder inside.
    prefix: words for people, in front of the digest. A folder that has the
      digest is used whatever its prefix.
    config: a frozen dataclass of str, int, float, bool, None and tuples.
    bits: what else decides the bits: root seed, lanes, device kind, versions,
      matmul precision, dtype. One constant column each.
    result_type: the Result class, its fields annotated `base.PerLayer` and so
      on; axes are some of step and layer, in this order, then value or not.
    block: seeds a shard, at least 1; a folder that has shards keeps theirs.
      All processes that write at one time must give the same.
    environment: recorded in every shard; decides nothing.
    coordinates: axis -> ascending coordinates; by default steps count from 0
      and layers from 1.
    create: whether to make the folder, if it is not there. Without, the setting
      can tell what is `missing`.

  Returns:
    The setting, its folder there and writable, with a `_setting.json`.

  Raises:
    UserError: the folder cannot be made, holds another setting, or two columns
      would have the same name.
  """
  if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', experiment, re.ASCII):
    raise base.UserError(f'experiment {experiment!r} cannot name a folder')
  if not 1 <= block < 2**32:
    raise base.UserError(f'block {block} is not from 1 to 2**32 - 1 seeds')
  hints = typing.get_type_hints(result_type, include_extras=True)
  axes = {field: axes_of(field, hint) for field, hint in hints.items()}
  hints = typing.get_type_hints(type(config))
  constants = {
    name: constant(hints[name], getattr(config, name)) for name in hints
  }
  # Through JSON, so that it compares with what is read back.
  identity = json.loads(
    canonical(
      {
        'experiment': experiment,
        'config': {name: value for name, (_, value) in constants.items()},
        'bits': dict(bits),
        'schema': {'version': VERSION, 'fields': axes},
      }
    )
  )
  digest = sha256(canonical(identity).encode())[:12]
  words = re.sub(r'[^\w.+-]+', '-', prefix, flags=re.ASCII)[:60].strip('-._')
  folder = pathlib.Path(root) / experiment
  found = sorted(folder.glob(f'*-{digest}'))
  path = found[0] if found else folder / f'{words or "setting"}-{digest}'
  extra = {name: constant(type(value), value) for name, value in bits.items()}
  refuse_twins(['run', *constants, *extra, 'seed', *INDICES, *axes])
  if create or path.exists():
    _record(path / '_setting.json', identity)
  return Setting(
    path=path,
    identity=identity,
    axes=axes,
    constants={'run': (str, path.name), **constants, **extra},
    block=_block(path, block) if path.exists() else block,
    environment=environment,
    coordinates=coordinates or {},
  )


def set_aside(settings: Sequence[Setting]) -> None:
  """Lets the settings' folder hold what their own programs have stored, alone.

  Folders of the same settings under another program, another layout or other
  data move to `<root>/_earlier`, with a warning that counts them; folders of
  the settings themselves come back from there.

  Args:
    settings: of one experiment, at least one.

  Raises:
    UserError: the disk refuses.
  """
  here = settings[0].path.parent
  aside = here.parent / '_earlier' / here.name
  ours = {without_program(each.identity): each.identity for each in settings}
  reasons = []
  for path, identity in _folders(here):
    current = ours.get(without_program(identity), identity)
    if identity != current and files.move(path, _free(aside / path.name)):
      reasons.append(_changed(identity, current))
  if reasons:
    counted = '; '.join(
      f'{reasons.count(reason)} {reason}' for reason in dict.fromkeys(reasons)
    )
    warnings.warn(
      f'{len(reasons)} settings in {here} have rows of an earlier program '
      f'({counted}): they are set aside in {aside}',
      stacklevel=2,
    )
  for path, identity in _folders(aside):
    back = here / path.name
    if identity in ours.values() and not back.exists():
      files.move(path, back)


def _folders(
  parent: pathlib.Path,
) -> Iterator[tuple[pathlib.Path, dict[str, Any]]]:
  """The folders of settings, with the identity that each has recorded."""
  for path in sorted(parent.glob('[!_.]*/_setting.json')):
    identity = files.intact(path, lambda path: json.loads(path.read_text()))
    if identity is not None:
      yield path.parent, identity


def _free(path: pathlib.Path) -> pathlib.Path:
  """The path, or where something is there, the next of that name."""
  names = itertools.count(2)
  free = path
  while free.exists():
    free = path.with_name(f'{path.name}.{next(names)}')
  return free


def _changed(earlier: dict[str, Any], current: dict[str, Any]) -> str:
  """What sets an earlier identity of a setting apart."""
  if not earlier['bits'].keys() >= set(PROGRAM_BITS):
    return 'without a digest of their program'
  for name in PROGRAM_BITS:
    if earlier['bits'][name] != current['bits'][name]:
      return f'of another {name}'
  return 'of another layout'


def done(setting: Setting) -> np.ndarray:
  """The seeds on disk, `[S]` ascending uint32; only footers are read.

  A shard without an intact footer is set aside with a warning that names it,
  and its seeds are not done.

  Raises:
    UserError: a shard is of another setting, or cannot be read.
  """
  return _stored(setting, [first for first, _ in _blocks(setting.path)])


def missing(setting: Setting, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
  """Those of the seeds that are not `done`, uint32, in the order given."""
  seeds = _checked(seeds)
  return seeds[~np.isin(seeds, _stored(setting, _firsts(setting, seeds)))]


def write(
  setting: Setting, seeds: Sequence[int] | np.ndarray, result: Any
) -> None:
  """Adds seeds to the shards of their blocks; a shard is replaced whole.

  A seed that is stored already stays as it is. A shard is rewritten at every
  call that adds to it, so many seeds a call are cheaper than many calls.

  Args:
    setting: from `open_setting`.
    seeds: `[S]` integers, 0 <= seed < 2**32.
    result: a Result of arrays `[S, ...]`, exact in float32.

  Raises:
    UserError: shapes do not fit, a value is not exact in float32, or the disk
      refuses; what was on disk is then as it was.
  """
  seeds = _checked(seeds)
  # Also where it has been set aside by a process of another program meanwhile.
  _record(setting.path / '_setting.json', setting.identity)
  values = {
    field: shards.float32(field, getattr(result, field))
    for field in setting.axes
  }
  shards.sizes(setting, seeds, values)
  for first in _firsts(setting, seeds):
    mine = seeds // setting.block == first // setting.block
    new = shards.Shard(seeds[mine], {f: v[mine] for f, v in values.items()})
    old = _load(setting, first)
    both = _merged([old, new] if old else [new])
    if old is None or both.seeds.size > old.seeds.size:
      files.write_bytes(_path(setting, first), shards.encode(setting, both))


def read(
  setting: Setting, seeds: Sequence[int] | np.ndarray
) -> dict[str, np.ndarray]:
  """The values of seeds, every page's checksum verified.

  Args:
    setting: from `open_setting`.
    seeds: at least one.

  Returns:
    field -> `[S, ...]` float32, in the order of the seeds.

  Raises:
    MissingSeeds: some are not stored. A broken shard is first set aside with a
      warning that names it: compute what is `missing`, then read again.
    UserError: no seeds, a shard of another setting, or one that the disk will
      not give.
  """
  seeds = _checked(seeds)
  if not seeds.size:
    raise base.UserError('there is nothing to read: the list of seeds is empty')
  found = [
    shard
    for first in _firsts(setting, seeds)
    if (shard := _load(setting, first)) is not None
  ]
  stored = np.concatenate([shard.seeds for shard in found] or [seeds[:0]])
  absent = seeds[~np.isin(seeds, stored)]
  if absent.size:
    raise MissingSeeds(
      f'{absent.size} of {seeds.size} seeds are not in {setting.path}: '
      f'{", ".join(map(str, absent[:5]))}{" ..." if absent.size > 5 else ""}'
    )
  whole = _merged(found)
  at = np.searchsorted(whole.seeds, seeds)
  return {field: values[at] for field, values in whole.values.items()}


def _record(path: pathlib.Path, identity: dict[str, Any]) -> None:
  """Writes the identity, or refuses a folder that has another."""
  recorded = files.intact(path, lambda path: json.loads(path.read_text()))
  if recorded is None:
    files.write_text(path, json.dumps(identity, indent=2) + '\n')
  else:
    refuse_other(identity, recorded, path)


# Files.


def _blocks(path: pathlib.Path) -> list[tuple[int, int]]:
  """The first seed and the size of each shard of a folder, ascending."""
  with files.told('read', path):
    names = sorted(os.listdir(path))
  matches = [re.fullmatch(r'seeds-(\d+)-(\d+)\.parquet', n) for n in names]
  return [(int(m[1]), int(m[2]) - int(m[1]) + 1) for m in matches if m]


def _block(path: pathlib.Path, wanted: int) -> int:
  """The size of a folder's shards, or the one wanted where there are none."""
  sizes = {size for _, size in _blocks(path)} or {wanted}
  if len(sizes) > 1:
    raise base.UserError(
      f'{path} has shards of {" and ".join(map(str, sorted(sizes)))} seeds, '
      'which overlap: remove those of one size'
    )
  return sizes.pop()


def _path(setting: Setting, first: int) -> pathlib.Path:
  last = first + setting.block - 1
  return setting.path / f'seeds-{first:010}-{last:010}.parquet'


def _firsts(setting: Setting, seeds: np.ndarray) -> list[int]:
  """The first seeds of the blocks that seeds are in, ascending."""
  return [int(k) * setting.block for k in np.unique(seeds // setting.block)]


def _checked(seeds: Sequence[int] | np.ndarray) -> np.ndarray:
  wide = np.asarray(seeds).reshape(-1)
  if wide.size and wide.dtype.kind not in 'iu':
    raise base.UserError(f'seeds are integers, not {wide.dtype}')
  if wide.size and not 0 <= wide.min() <= wide.max() < 2**32:
    raise base.UserError(
      f'seeds {wide.min()} to {wide.max()} are outside 32 bits'
    )
  return wide.astype(np.uint32)


def _stored(setting: Setting, firsts: list[int]) -> np.ndarray:
  """The seeds that the footers of blocks declare, `[S]` ascending uint32."""
  import pyarrow.parquet as pq

  seeds: list[int] = []
  for first in firsts:
    path = _path(setting, first)
    footer = files.intact(
      path, lambda path: shards.read_footer(pq.read_schema(path).metadata)
    )
    if footer is not None:
      refuse_other(setting.identity, footer['setting'], path)
      seeds += footer['seeds']
  return np.array(seeds, np.uint32)


def _load(setting: Setting, first: int) -> shards.Shard | None:
  """One shard, checksums verified; None where it is absent or was broken."""
  path = _path(setting, first)
  loaded = files.intact(path, shards.decode)
  if loaded is None:
    return None
  footer, shard = loaded
  refuse_other(setting.identity, footer['setting'], path)
  return shard


def _merged(parts: Sequence[shards.Shard]) -> shards.Shard:
  """One shard of all seeds, ascending; the first to hold a seed wins."""
  seeds, first = np.unique(
    np.concatenate([part.seeds for part in parts]), return_index=True
  )
  values = {}
  for field in parts[0].values:
    arrays = [part.values[field] for part in parts]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
      raise base.UserError(f'field {field} has seeds of shapes {shapes}')
    values[field] = np.concatenate(arrays)[first]
  return shards.Shard(seeds, values)
