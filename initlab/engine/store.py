"""Results on disk. The only module that writes results.

    <root>/<experiment>/<prefix>-<digest>/_setting.json
                                          seeds-0000000000-0000000063.parquet
                                          seeds-0000000064-0000000127.parquet

One folder per setting: `digest` covers everything that determines the bits,
including the program (see `program`). A shard is one aligned block of seeds. It
is replaced atomically, only by one with more seeds, so a stored seed is done,
any number of processes and hosts can write without locks, and no seed is in two
files. A writer that loses a race for a block loses its seeds, which then stay
`missing`; it never corrupts any.

Results of an earlier program move here, and back when that program returns:

    <root>/_earlier/<experiment>/<prefix>-<digest>/

A row is one seed at one step and layer: column `seed`, then `step` and `layer`
if the Result's annotations name them, then one float32 column per field, or a
list for a field of samples. Step -1 and layer 0 mark values of the whole
training or network; a field is null on rows of another kind. Constant columns
identify the setting: `run` (the folder), the config's fields, and the rest of
the identity. One line reads all settings of an experiment:

    pd.read_parquet('results/variance')
    pl.read_parquet('results/variance/**/*.parquet')
    duckdb.sql("from 'results/variance/**/*.parquet'")

pandas skips files and folders whose names start with `_` or `.`; all other
files beside the settings must start with one of them.
"""

from collections.abc import Iterator, Mapping, Sequence
import itertools
import json
import os
import pathlib
import re
import typing
from typing import TYPE_CHECKING, Any
import warnings

import numpy as np

from initlab import base
from initlab.engine import files, shards
from initlab.engine.identity import (
  INDICES,
  PROGRAM_BITS,
  Folder,
  canonical,
  constant,
  of_setting,
  refuse_other,
  refuse_twins,
  sha256,
  without_program,
)
from initlab.experiment import axes_of

if TYPE_CHECKING:
  import pyarrow as pa


class MissingSeeds(base.UserError):
  """Requested seeds are not on disk, or their shard is corrupt."""


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
) -> Folder:
  """Finds or creates the folder of one setting.

  Args:
    root: folder of all results.
    experiment: name of its folder inside.
    prefix: a readable name in front of the digest. An existing folder with the
      digest is used whatever its prefix.
    config: a frozen dataclass of str, int, float, bool, None and tuples.
    bits: what else determines the bits: root seed, lanes, device kind,
      versions, matmul precision, dtype. One constant column each.
    result_type: the Result class, see `experiment.axes_of`.
    block: seeds per shard, at least 1; a folder with shards keeps their size.
      Processes that write at the same time must pass the same value.
    environment: recorded in every shard, for information only.
    coordinates: axis -> ascending coordinates; by default steps count from 0
      and layers from 1.
    create: whether to create a missing folder. Without it the result still
      tells which seeds are `missing`.

  Returns:
    The folder, which exists and has a `_setting.json` if `create`.

  Raises:
    UserError: the folder cannot be created, holds another setting, or two
      columns would have the same name.
  """
  if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', experiment, re.ASCII):
    raise base.UserError(f'experiment {experiment!r} cannot name a folder')
  if not 1 <= block < 2**32:
    raise base.UserError(f'block {block} is not from 1 to 2**32 - 1 seeds')
  axes = axes_of(result_type)
  hints = typing.get_type_hints(type(config))
  constants = {
    name: constant(hints[name], getattr(config, name)) for name in hints
  }
  identity = of_setting(experiment, constants, bits, axes)
  digest = sha256(canonical(identity).encode())[:12]
  words = re.sub(r'[^\w.+-]+', '-', prefix, flags=re.ASCII)[:60].strip('-._')
  folder = pathlib.Path(root) / experiment
  found = sorted(folder.glob(f'*-{digest}'))
  path = found[0] if found else folder / f'{words or "setting"}-{digest}'
  extra = {name: constant(type(value), value) for name, value in bits.items()}
  refuse_twins(['run', *constants, *extra, 'seed', *INDICES, *axes])
  if create or path.exists():
    _record(path / '_setting.json', identity)
  return Folder(
    path=path,
    identity=identity,
    axes=axes,
    constants={'run': (str, path.name), **constants, **extra},
    block=_block(path, block) if path.exists() else block,
    environment=environment,
    coordinates=coordinates or {},
  )


def set_aside(folders: Sequence[Folder]) -> None:
  """Moves results of earlier programs of these settings out of the way.

  Folders of the same settings with another program, layout or data move to
  `<root>/_earlier`, with a warning that counts them. Folders of the current
  programs move back from there.

  Args:
    folders: of one experiment, at least one.

  Raises:
    UserError: a folder cannot be moved.
  """
  here = folders[0].path.parent
  aside = here.parent / '_earlier' / here.name
  ours = {without_program(each.identity): each.identity for each in folders}
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
  """The folders of settings with their recorded identities."""
  for path in sorted(parent.glob('[!_.]*/_setting.json')):
    identity = files.intact(path, lambda path: json.loads(path.read_text()))
    if identity is not None:
      yield path.parent, identity


def _free(path: pathlib.Path) -> pathlib.Path:
  """The path, with a number appended if it exists."""
  names = itertools.count(2)
  free = path
  while free.exists():
    free = path.with_name(f'{path.name}.{next(names)}')
  return free


def _changed(earlier: dict[str, Any], current: dict[str, Any]) -> str:
  """How an earlier identity of a setting differs from the current one."""
  if not earlier['bits'].keys() >= set(PROGRAM_BITS):
    return 'without a digest of their program'
  for name in PROGRAM_BITS:
    if earlier['bits'][name] != current['bits'][name]:
      return f'of another {name}'
  return 'of another layout'


def done(folder: Folder) -> np.ndarray:
  """The stored seeds, `[S]` ascending uint32; reads footers only.

  A shard with a corrupt footer is renamed aside with a warning, and its seeds
  count as missing.

  Raises:
    UserError: a shard belongs to another setting, or cannot be read.
  """
  return _stored(folder, [first for first, _ in _blocks(folder.path)])


def missing(folder: Folder, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
  """The given seeds that are not stored, uint32, in their order."""
  seeds = _checked(seeds)
  return seeds[~np.isin(seeds, _stored(folder, _firsts(folder, seeds)))]


def write(
  folder: Folder, seeds: Sequence[int] | np.ndarray, result: Any
) -> None:
  """Adds seeds to the shards of their blocks.

  Stored seeds are kept as they are. Every call rewrites the shards that it adds
  to, so prefer few calls with many seeds.

  Args:
    folder: from `open_setting`.
    seeds: `[S]` integers, 0 <= seed < 2**32.
    result: a Result of arrays `[S, ...]`, exact in float32.

  Raises:
    UserError: shapes are inconsistent, a value is not exact in float32, or a
      shard cannot be written; what was on disk is unchanged.
  """
  seeds = _checked(seeds)
  # Another process may have set the folder aside meanwhile.
  _record(folder.path / '_setting.json', folder.identity)
  values = {
    field: shards.float32(field, getattr(result, field))
    for field in folder.axes
  }
  shards.sizes(folder, seeds, values)
  for first in _firsts(folder, seeds):
    mine = seeds // folder.block == first // folder.block
    new = shards.Shard(seeds[mine], {f: v[mine] for f, v in values.items()})
    old = _load(folder, first)
    both = _merged([old, new] if old else [new])
    if old is None or both.seeds.size > old.seeds.size:
      files.write_bytes(_path(folder, first), shards.encode(folder, both))


def read(
  folder: Folder, seeds: Sequence[int] | np.ndarray
) -> dict[str, np.ndarray]:
  """The values of seeds; verifies the checksum of every page.

  Args:
    folder: from `open_setting`.
    seeds: at least one.

  Returns:
    field -> `[S, ...]` float32, in the order of the seeds.

  Raises:
    MissingSeeds: some are not stored. A corrupt shard is first renamed aside
      with a warning: compute the `missing` seeds, then read again.
    UserError: no seeds are given, or a shard belongs to another setting or
      cannot be read.
  """
  seeds = _checked(seeds)
  if not seeds.size:
    raise base.UserError('there is nothing to read: the list of seeds is empty')
  found = [
    shard
    for first in _firsts(folder, seeds)
    if (shard := _load(folder, first)) is not None
  ]
  stored = np.concatenate([shard.seeds for shard in found] or [seeds[:0]])
  absent = seeds[~np.isin(seeds, stored)]
  if absent.size:
    raise MissingSeeds(
      f'{absent.size} of {seeds.size} seeds are not in {folder.path}: '
      f'{", ".join(map(str, absent[:5]))}{" ..." if absent.size > 5 else ""}'
    )
  whole = _merged(found)
  at = np.searchsorted(whole.seeds, seeds)
  return {field: values[at] for field, values in whole.values.items()}


def rows(
  folders: Sequence[Folder], seeds: Sequence[int] | np.ndarray
) -> 'pa.Table':
  """The stored rows of seeds, as `pd.read_parquet` reads them.

  Args:
    folders: from `open_setting`.
    seeds: `[S]`.
  """
  import pyarrow as pa
  from pyarrow import parquet

  seeds = _checked(seeds)
  found = []
  for folder in folders:
    for first in _firsts(folder, seeds):
      table = parquet.read_table(_path(folder, first), partitioning=None)
      wanted = np.isin(table['seed'].to_numpy(), seeds)
      found.append(table.filter(pa.array(wanted)))
  return pa.concat_tables(found)


def _record(path: pathlib.Path, identity: dict[str, Any]) -> None:
  """Writes the identity; refuses a folder that has another."""
  recorded = files.intact(path, lambda path: json.loads(path.read_text()))
  if recorded is None:
    files.write_text(path, json.dumps(identity, indent=2) + '\n')
  else:
    refuse_other(identity, recorded, path)


# Files.


def _blocks(path: pathlib.Path) -> list[tuple[int, int]]:
  """The first seed and the block size of each shard, ascending."""
  with files.user_errors('read', path):
    names = sorted(os.listdir(path))
  matches = [re.fullmatch(r'seeds-(\d+)-(\d+)\.parquet', n) for n in names]
  return [(int(m[1]), int(m[2]) - int(m[1]) + 1) for m in matches if m]


def _block(path: pathlib.Path, wanted: int) -> int:
  """The block size of a folder's shards; `wanted` if there are none."""
  sizes = {size for _, size in _blocks(path)} or {wanted}
  if len(sizes) > 1:
    raise base.UserError(
      f'{path} has shards of {" and ".join(map(str, sorted(sizes)))} seeds, '
      'which overlap: remove those of one size'
    )
  return sizes.pop()


def _path(folder: Folder, first: int) -> pathlib.Path:
  last = first + folder.block - 1
  return folder.path / f'seeds-{first:010}-{last:010}.parquet'


def _firsts(folder: Folder, seeds: np.ndarray) -> list[int]:
  """The first seeds of the blocks that seeds are in, ascending."""
  return [int(k) * folder.block for k in np.unique(seeds // folder.block)]


def _checked(seeds: Sequence[int] | np.ndarray) -> np.ndarray:
  wide = np.asarray(seeds).reshape(-1)
  if wide.size and wide.dtype.kind not in 'iu':
    raise base.UserError(f'seeds are integers, not {wide.dtype}')
  if wide.size and not 0 <= wide.min() <= wide.max() < 2**32:
    raise base.UserError(
      f'seeds {wide.min()} to {wide.max()} are outside 32 bits'
    )
  return wide.astype(np.uint32)


def _stored(folder: Folder, firsts: list[int]) -> np.ndarray:
  """The seeds listed in the footers of blocks, `[S]` ascending uint32."""
  import pyarrow.parquet as pq

  seeds: list[int] = []
  for first in firsts:
    path = _path(folder, first)
    footer = files.intact(
      path, lambda path: shards.read_footer(pq.read_schema(path).metadata)
    )
    if footer is not None:
      refuse_other(folder.identity, footer['setting'], path)
      seeds += footer['seeds']
  return np.array(seeds, np.uint32)


def _load(folder: Folder, first: int) -> shards.Shard | None:
  """One shard, with checksums verified; None if it is absent or corrupt."""
  path = _path(folder, first)
  loaded = files.intact(path, shards.decode)
  if loaded is None:
    return None
  footer, shard = loaded
  refuse_other(folder.identity, footer['setting'], path)
  return shard


def _merged(parts: Sequence[shards.Shard]) -> shards.Shard:
  """One shard of all seeds, ascending; the first of duplicates is kept."""
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
