"""Encodes the rows of seeds as a Parquet file, and decodes it."""

import itertools
import json
import pathlib
from typing import Any, NamedTuple

import numpy as np

from initlab import base
from initlab.engine.identity import INDICES, Folder, canonical, sha256

# Keys in a shard's footer: its metadata as JSON, and their SHA-256, since
# Parquet's own checksums cover the pages only.
_FOOTER, _SHA256 = b'initlab', b'initlab_sha256'


class Shard(NamedTuple):
  """seeds: `[S]` ascending. values: field -> `[S, ...]` float32."""

  seeds: np.ndarray
  values: dict[str, np.ndarray]


# Rows.


def float32(field: str, values: Any) -> np.ndarray:
  """Values as float32; refuses values that it cannot represent exactly."""
  values = np.asarray(values)
  with np.errstate(over='ignore'):
    exact = values.astype(np.float32)
  if not np.array_equal(exact, values, equal_nan=True):
    raise base.UserError(
      f'field {field} has {values.dtype} values that float32 cannot hold'
    )
  return exact


def sizes(
  folder: Folder, seeds: np.ndarray, values: dict[str, np.ndarray]
) -> dict[str, int]:
  """Axis -> its length, over all fields; refuses inconsistent shapes.

  'value' is left out, since fields may have samples of different sizes.
  """
  sizes = {'seed': seeds.size}
  sizes |= {axis: len(at) for axis, at in folder.coordinates.items()}
  for field, axes in folder.axes.items():
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


def encode(folder: Folder, shard: Shard) -> bytes:
  """Serializes a shard."""
  import pyarrow as pa
  import pyarrow.parquet as pq

  names, places, kinds = _places(folder, sizes(folder, *shard))
  rows = shard.seeds.size * len(kinds)
  columns = {
    name: _scalar(kind, value).take(pa.array(np.zeros(rows, np.int8)))
    for name, (kind, value) in folder.constants.items()
  }
  columns['seed'] = pa.array(np.repeat(shard.seeds, len(kinds)))
  for name, at in zip(names, places.T, strict=True):
    at = np.tile(at.astype(INDICES[name].dtype), shard.seeds.size)
    columns[name] = pa.array(at)
  indices = list(columns)
  for field, axes in folder.axes.items():
    own = np.tile([kind == _kind_of(axes) for kind in kinds], shard.seeds.size)
    columns[field] = _column(shard.values[field], own, 'value' in axes)
  footer = canonical(
    {
      'setting': folder.identity,
      'environment': dict(folder.environment),
      'seeds': shard.seeds.tolist(),
      'shapes': {field: v.shape[1:] for field, v in shard.values.items()},
    }
  ).encode()
  metadata = {_FOOTER: footer, _SHA256: sha256(footer)}
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
  """The index axes of a field; they determine its kind of row."""
  return tuple(name for name in axes if name in INDICES)


def _places(
  folder: Folder, sizes: dict[str, int]
) -> tuple[list[str], np.ndarray, list[tuple[str, ...]]]:
  """The rows of one seed.

  Returns:
    The names of the I index columns; `[R, I]` their values, ascending; the kind
    of each row. Rows of one kind run through its axes in C order.
  """
  kinds = sorted({_kind_of(axes) for axes in folder.axes.values()})
  names = [name for name in INDICES if any(name in kind for kind in kinds)]
  rows = []
  for kind in kinds:
    along = [
      folder.coordinates.get(name, range(first, first + sizes[name]))
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
    lists: whether a row holds the last axis as a list. Lists have variable
      length: Arrow before 19 cannot write null fixed-size lists.
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


def read_footer(metadata: dict[bytes, bytes]) -> dict[str, Any]:
  """The parsed metadata in a shard's footer; raises if they are corrupt."""
  if sha256(metadata[_FOOTER]) != metadata[_SHA256].decode():
    raise ValueError('the checksum of the footer does not match')
  return json.loads(metadata[_FOOTER])


def decode(path: pathlib.Path) -> tuple[dict[str, Any], Shard]:
  """Footer and content of a file; raises if they disagree."""
  import pyarrow as pa
  import pyarrow.parquet as pq

  with pq.ParquetFile(path, page_checksum_verification=True) as file:
    footer = read_footer(file.schema_arrow.metadata)
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
  return footer, Shard(seeds, values)
