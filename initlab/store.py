"""Results on disk. The only module that writes results.

    <root>/<experiment>/<prefix>-<digest>/_setting.json
                                          seeds-0000000000-0000000063.parquet
                                          seeds-0000000064-0000000127.parquet

A folder is one setting: `digest` is of everything that decides the bits, never
of the clock. A shard is one aligned block of seeds. It is only ever replaced
whole, by one that holds more seeds, so that done means stored, any number of
processes and hosts write without locks, and no seed is in two files. A writer
that loses a race on one block loses seeds, never bits: they stay `missing`.

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

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import types
import typing
from typing import Any, NamedTuple
import uuid
import warnings

import numpy as np

from initlab import base

_VERSION = 1  # Of the layout above; part of the identity.
# Keys in a shard's footer: what it tells of the shard, as JSON, and the SHA-256
# of that, since Parquet's own checksums cover the pages only.
_FOOTER, _SHA256 = b'initlab', b'initlab_sha256'


# What pyarrow and json raise on a content that is not what was written.
_BROKEN = (OSError, ValueError, LookupError, TypeError, NotImplementedError)


class Index(NamedTuple):
  """An axis of a Result that becomes an index column.

  dtype: of the column.
  whole: the coordinate of what is not resolved along the axis.
  first: the first coordinate along it.
  """

  dtype: str
  whole: int
  first: int


INDICES = {'step': Index('int32', -1, 0), 'layer': Index('int16', 0, 1)}


class MissingSeeds(base.UserError):
  """Seeds that were asked for are not on disk, or no longer intact there."""


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


class _Shard(NamedTuple):
  """seeds: `[S]` ascending. values: field -> `[S, ...]` float32."""

  seeds: np.ndarray
  values: dict[str, np.ndarray]


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
  axes = {field: _axes(field, hint) for field, hint in hints.items()}
  hints = typing.get_type_hints(type(config))
  constants = {
    name: _constant(hints[name], getattr(config, name)) for name in hints
  }
  # Through JSON, so that it compares with what is read back.
  identity = json.loads(
    _canonical(
      {
        'experiment': experiment,
        'config': {name: value for name, (_, value) in constants.items()},
        'bits': dict(bits),
        'schema': {'version': _VERSION, 'fields': axes},
      }
    )
  )
  digest = _sha256(_canonical(identity).encode())[:12]
  words = re.sub(r'[^\w.+-]+', '-', prefix, flags=re.ASCII)[:60].strip('-._')
  folder = pathlib.Path(root) / experiment
  found = sorted(folder.glob(f'*-{digest}'))
  path = found[0] if found else folder / f'{words or "setting"}-{digest}'
  extra = {name: _constant(type(value), value) for name, value in bits.items()}
  _refuse_twins(['run', *constants, *extra, 'seed', *INDICES, *axes])
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
  values = {
    field: _float32(field, getattr(result, field)) for field in setting.axes
  }
  _sizes(setting, seeds, values)
  for first in _firsts(setting, seeds):
    mine = seeds // setting.block == first // setting.block
    new = _Shard(seeds[mine], {f: v[mine] for f, v in values.items()})
    old = _load(setting, first)
    both = _merged([old, new] if old else [new])
    if old is None or both.seeds.size > old.seeds.size:
      write_bytes(_path(setting, first), _parquet(setting, both))


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
  shards = [
    shard
    for first in _firsts(setting, seeds)
    if (shard := _load(setting, first)) is not None
  ]
  stored = np.concatenate([shard.seeds for shard in shards] or [seeds[:0]])
  absent = seeds[~np.isin(seeds, stored)]
  if absent.size:
    raise MissingSeeds(
      f'{absent.size} of {seeds.size} seeds are not in {setting.path}: '
      f'{", ".join(map(str, absent[:5]))}{" ..." if absent.size > 5 else ""}'
    )
  whole = _merged(shards)
  at = np.searchsorted(whole.seeds, seeds)
  return {field: values[at] for field, values in whole.values.items()}


def write_text(path: str | os.PathLike, content: str) -> None:
  """`write_bytes` of UTF-8."""
  write_bytes(path, content.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
  """Writes a file whole or not at all, on disk before it bears its name.

  Args:
    path: of the file; its folder is made where it does not exist.
    content: of the file.

  Raises:
    UserError: the disk refuses (full, no permission, a file in the way); what
      was at `path` is then as it was, and no part of the new file is left.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
  with _told('write', path):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
      with open(temporary, 'xb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
      os.replace(temporary, path)
    finally:
      temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
      os.fsync(folder)
    finally:
      os.close(folder)


def remove(path: str | os.PathLike) -> None:
  """Removes a file, if it is there.

  Raises:
    UserError: the disk refuses.
  """
  path = pathlib.Path(path)
  with _told('remove', path):
    path.unlink(missing_ok=True)


def intact(path: pathlib.Path, read: Callable[[pathlib.Path], Any]) -> Any:
  """`read(path)`, or None where no file is; a broken file is set aside.

  What the disk says has an errno and is no reason to distrust the file; what
  pyarrow, json and checkpoints say of the content has none.

  Args:
    path: of the file.
    read: of the path; of a broken file it raises an error without an errno.

  Raises:
    UserError: the disk refuses.
  """
  try:
    return read(path)
  except FileNotFoundError:
    return None
  except _BROKEN as error:
    if isinstance(error, OSError) and error.errno:
      raise base.UserError(f'cannot read {path}: {error.strerror}') from error
    reason = str(error).partition('\n')[0]
  aside = path.with_name(f'.{path.name}.corrupt')
  with _told('set aside', path), contextlib.suppress(FileNotFoundError):
    os.replace(path, aside)  # Unless another process was first.
  warnings.warn(
    f'{path} is broken ({reason}): it is set aside as {aside.name}, and what '
    'it held is missing',
    stacklevel=2,
  )
  return None


# Identity.


def _axes(field: str, hint: Any) -> tuple[str, ...]:
  """The axes in a field's annotation."""
  axes = getattr(hint, '__metadata__', (None,))[0]
  known = (*INDICES, 'value')
  if axes is None or list(axes) != [name for name in known if name in axes]:
    raise base.UserError(
      f'field {field} of the Result must be annotated with axes that are some '
      f'of {", ".join(known)}, in this order, not with {hint}'
    )
  return tuple(axes)


def _constant(hint: Any, value: Any) -> tuple[type, Any]:
  """The type of a constant column, bool, int, float or else str, and its value.

  The type follows the hint, not the value, so that all settings of an
  experiment have one schema; and 1 and 1.0 are one gain.
  """
  union = typing.get_origin(hint) in (typing.Union, types.UnionType)
  kinds = set(typing.get_args(hint)) - {type(None)} if union else {hint}
  kind = kinds.pop()
  kind = kind if kind in (bool, int, float) and not kinds else str
  return kind, float(value) if kind is float and value is not None else value


def _canonical(tree: Any) -> str:
  return json.dumps(tree, sort_keys=True, default=_refuse_value)


def _sha256(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()


def _refuse_value(value: Any) -> Any:
  if isinstance(value, np.generic):
    return value.item()
  raise base.UserError(f'{value!r} cannot be part of the identity of a setting')


def _refuse_twins(names: list[str]) -> None:
  """Two columns of one name; DuckDB does not tell upper from lower case."""
  lower = [name.lower() for name in names]
  twins = sorted({name for name in names if lower.count(name.lower()) > 1})
  if twins:
    raise base.UserError(f'two columns have the same name: {", ".join(twins)}')


def _record(path: pathlib.Path, identity: dict[str, Any]) -> None:
  """Writes the identity, or refuses a folder that has another."""
  recorded = intact(path, lambda path: json.loads(path.read_text()))
  if recorded is None:
    write_text(path, json.dumps(identity, indent=2) + '\n')
  else:
    _refuse_other(identity, recorded, path)


def _refuse_other(ours: Any, theirs: Any, path: pathlib.Path) -> None:
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
    yield name, _canonical(tree)


# Files.


def _blocks(path: pathlib.Path) -> list[tuple[int, int]]:
  """The first seed and the size of each shard of a folder, ascending."""
  with _told('read', path):
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


@contextlib.contextmanager
def _told(verb: str, path: pathlib.Path) -> Generator[None, None, None]:
  """Turns what the system says into one sentence."""
  try:
    yield
  except OSError as error:
    raise base.UserError(
      f'cannot {verb} {path}: {error.strerror or error}'
    ) from error


def _stored(setting: Setting, firsts: list[int]) -> np.ndarray:
  """The seeds that the footers of blocks declare, `[S]` ascending uint32."""
  import pyarrow.parquet as pq

  seeds: list[int] = []
  for first in firsts:
    path = _path(setting, first)
    footer = intact(path, lambda path: _footer(pq.read_schema(path).metadata))
    if footer is not None:
      _refuse_other(setting.identity, footer['setting'], path)
      seeds += footer['seeds']
  return np.array(seeds, np.uint32)


def _load(setting: Setting, first: int) -> _Shard | None:
  """One shard, checksums verified; None where it is absent or was broken."""
  path = _path(setting, first)
  loaded = intact(path, _shard)
  if loaded is None:
    return None
  footer, shard = loaded
  _refuse_other(setting.identity, footer['setting'], path)
  return shard


def _merged(shards: Sequence[_Shard]) -> _Shard:
  """One shard of all seeds, ascending; the first to hold a seed wins."""
  seeds, first = np.unique(
    np.concatenate([shard.seeds for shard in shards]), return_index=True
  )
  values = {}
  for field in shards[0].values:
    parts = [shard.values[field] for shard in shards]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
      raise base.UserError(f'field {field} has seeds of shapes {shapes}')
    values[field] = np.concatenate(parts)[first]
  return _Shard(seeds, values)


# Rows.


def _float32(field: str, values: Any) -> np.ndarray:
  values = np.asarray(values)
  with np.errstate(over='ignore'):
    exact = values.astype(np.float32)
  if not np.array_equal(exact, values, equal_nan=True):
    raise base.UserError(
      f'field {field} has {values.dtype} values that float32 cannot hold'
    )
  return exact


def _sizes(
  setting: Setting, seeds: np.ndarray, values: dict[str, np.ndarray]
) -> dict[str, int]:
  """Axis -> its length, over all fields; refuses shapes that do not fit.

  Samples may differ in number between fields, so 'value' is not in it.
  """
  sizes = {'seed': seeds.size}
  sizes |= {axis: len(at) for axis, at in setting.coordinates.items()}
  for field, axes in setting.axes.items():
    shape = values[field].shape
    names = ('seed', *axes)
    fits = len(shape) == len(names) and all(
      name == 'value' or sizes.setdefault(name, size) == size
      for name, size in zip(names, shape, strict=True)
    )
    if not fits:
      raise base.UserError(
        f'field {field} of axes {names} has shape {shape}; the lengths are '
        f'{sizes}'
      )
  return sizes


def _parquet(setting: Setting, shard: _Shard) -> bytes:
  """A shard as the content of its file."""
  import pyarrow as pa
  import pyarrow.parquet as pq

  names, places, kinds = _places(setting, _sizes(setting, *shard))
  rows = shard.seeds.size * len(kinds)
  columns = {
    name: _scalar(kind, value).take(pa.array(np.zeros(rows, np.int8)))
    for name, (kind, value) in setting.constants.items()
  }
  columns['seed'] = pa.array(np.repeat(shard.seeds, len(kinds)))
  for name, at in zip(names, places.T, strict=True):
    at = np.tile(at.astype(INDICES[name].dtype), shard.seeds.size)
    columns[name] = pa.array(at)
  indices = list(columns)
  for field, axes in setting.axes.items():
    own = np.tile([kind == _kind_of(axes) for kind in kinds], shard.seeds.size)
    columns[field] = _column(shard.values[field], own, 'value' in axes)
  footer = _canonical(
    {
      'setting': setting.identity,
      'environment': dict(setting.environment),
      'seeds': shard.seeds.tolist(),
      'shapes': {field: v.shape[1:] for field, v in shard.values.items()},
    }
  ).encode()
  metadata = {_FOOTER: footer, _SHA256: _sha256(footer)}
  sink = pa.BufferOutputStream()
  pq.write_table(
    pa.table(columns).replace_schema_metadata(metadata),
    sink,
    compression='zstd',
    use_dictionary=indices,
    write_page_checksum=True,
  )
  return sink.getvalue().to_pybytes()


def _kind_of(axes: tuple[str, ...]) -> tuple[str, ...]:
  """The axes of a field that are index columns: its kind of row."""
  return tuple(name for name in axes if name in INDICES)


def _places(
  setting: Setting, sizes: dict[str, int]
) -> tuple[list[str], np.ndarray, list[tuple[str, ...]]]:
  """The rows of one seed.

  Returns:
    The names of the I index columns; `[R, I]` their values, ascending; the kind
    of each row. Rows of one kind run through its axes in C order.
  """
  kinds = sorted({_kind_of(axes) for axes in setting.axes.values()})
  names = [name for name in INDICES if any(name in kind for kind in kinds)]
  rows = []
  for kind in kinds:
    along = [
      setting.coordinates.get(name, range(first, first + sizes[name]))
      if name in kind
      else [whole]
      for name in names
      for _, whole, first in [INDICES[name]]
    ]
    rows += [(place, kind) for place in itertools.product(*along)]
  rows.sort()
  places = np.array([place for place, _ in rows]).reshape(len(rows), len(names))
  return names, places, [kind for _, kind in rows]


def _scalar(kind: type, value: Any) -> Any:
  """One value as an Arrow array; text as a dictionary, so categorical."""
  import pyarrow as pa

  text = pa.dictionary(pa.int32(), pa.string())
  numbers = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
  if kind is str and value is not None:
    items = value if isinstance(value, tuple | list) else [value]
    value = '-'.join(map(str, items))
  return pa.array([value], numbers.get(kind, text))


def _column(values: np.ndarray, own: np.ndarray, lists: bool) -> Any:
  """A field's values on its own rows, null on the others.

  Args:
    values: `[S, ...]`, in the order of the rows.
    own: `[S * R]` whether the row is the field's.
    lists: whether the last axis is within a row. The list is of any length:
      Arrow before 19 cannot write fixed ones that are null.
  """
  import pyarrow as pa

  if lists:
    ends = np.cumsum(own * values.shape[-1])
    return pa.ListArray.from_arrays(
      pa.array(np.concatenate([[0], ends]), pa.int32()),
      pa.array(values.reshape(-1)),
      mask=pa.array(~own),
    )
  column = np.zeros(own.shape, np.float32)
  column[own] = values.reshape(-1)
  return pa.array(column, mask=~own, from_pandas=False)


def _footer(metadata: dict[bytes, bytes]) -> dict[str, Any]:
  """What the metadata in a shard's footer tell, or an error."""
  if _sha256(metadata[_FOOTER]) != metadata[_SHA256].decode():
    raise ValueError('the footer does not have its checksum')
  return json.loads(metadata[_FOOTER])


def _shard(path: pathlib.Path) -> tuple[dict[str, Any], _Shard]:
  """Footer and content of a file, or an error where they do not agree."""
  import pyarrow as pa
  import pyarrow.parquet as pq

  with pq.ParquetFile(path, page_checksum_verification=True) as file:
    footer = _footer(file.schema_arrow.metadata)
    shapes = footer['shapes']
    table = file.read(columns=['seed', *shapes])
  seeds = np.array(footer['seeds'], np.uint32)
  rows = table.num_rows // seeds.size
  if not np.array_equal(table['seed'].to_numpy(), np.repeat(seeds, rows)):
    raise ValueError('the seeds of footer and rows differ')
  values = {}
  for field, shape in shapes.items():
    column = table[field].combine_chunks().drop_null()
    flat = column.flatten() if pa.types.is_list(column.type) else column
    values[field] = flat.to_numpy().reshape(seeds.size, *shape)
  return footer, _Shard(seeds, values)
