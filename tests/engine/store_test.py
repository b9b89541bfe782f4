"""Results survive: bit for bit, in other tools' hands, and whatever happens."""

import dataclasses
import errno
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from typing import Annotated, NamedTuple

import chex
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from initlab import base
from initlab.engine import files, store
from initlab.experiment import PerLayer, PerLayerSample, PerNetwork


@dataclasses.dataclass(frozen=True)
class Config:
  init: str = 'glorot'
  gain: float = 1.0
  widths: tuple[int, ...] = (30, 20, 10)
  bias: float | None = None
  rescale: bool = False


class Result(NamedTuple):
  loss: PerNetwork
  std: PerLayer
  values: PerLayerSample


class Curves(NamedTuple):
  final: PerNetwork
  rank: PerLayer
  loss: Annotated[base.Array, ('step',)]
  grad: Annotated[base.Array, ('step', 'layer')]


BITS = {'root_seed': 0, 'lanes': 8, 'jax': '0.9.2', 'precision': 'highest'}


def opened(root, config=Config(), result=Result, **knobs):
  knobs = {'block': 4, 'environment': {'python': '3'}, 'bits': BITS} | knobs
  knobs = {'prefix': f'{config.init}, tanh'} | knobs
  return store.open_setting(
    root, 'variance', config=config, result_type=result, **knobs
  )


def made(seeds, layers=3):
  """A Result that is a function of the seed, with every kind of float."""
  seeds = np.asarray(seeds, np.float32)
  std = seeds[:, None] + np.linspace(0.1, 0.9, layers, dtype=np.float32)
  values = std[..., None] * np.array([1, -0.0, np.nan, np.inf, 1e-45], 'f')
  return Result(np.where(seeds == 2, np.nan, -seeds / 3), std, values)


def assert_bits(actual, expected):
  chex.assert_trees_all_equal(
    *(
      {k: np.asarray(v, 'f').view('u4') for k, v in tree.items()}
      for tree in (actual, expected)
    )
  )


def shards(setting):
  return sorted(setting.path.glob('seeds-*'))


def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path):
  setting = opened(tmp_path)
  seeds = [5, 2**32 - 1, 0, 2]
  store.write(setting, seeds, made(seeds))
  assert_bits(store.read(setting, seeds), made(seeds)._asdict())
  assert_bits(store.read(setting, [2, 5]), made([2, 5])._asdict())
  np.testing.assert_array_equal(store.done(setting), [0, 2, 5, 2**32 - 1])
  np.testing.assert_array_equal(store.missing(setting, [9, 5, 1]), [9, 1])
  with pytest.raises(store.MissingSeeds, match=r'2 of 3 seeds.*: 7, 1'):
    store.read(setting, [7, 0, 1])


def test_a_table_has_a_row_for_every_seed_and_layer(tmp_path):
  setting = opened(tmp_path)
  store.write(setting, [0, 1], made([0, 1]))
  table = pd.read_parquet(tmp_path / 'variance')
  assert list(table) == [
    *('run', 'init', 'gain', 'widths', 'bias', 'rescale'),
    *('root_seed', 'lanes', 'jax', 'precision', 'seed', 'layer'),
    *('loss', 'std', 'values'),
  ]
  assert table.seed.tolist() == [0] * 4 + [1] * 4
  assert table.layer.tolist() == [0, 1, 2, 3] * 2
  assert table.loss.notna().tolist() == [True, False, False, False] * 2
  assert table['std'].notna().tolist() == [False, True, True, True] * 2
  assert set(table.widths) == {'30-20-10'} and table.bias.isna().all()
  chex.assert_shape(table['values'][1], (5,))


def test_steps_are_rows_too(tmp_path):
  setting = opened(tmp_path, result=Curves, coordinates={'step': [0, 10, 100]})
  curves = Curves(
    np.arange(2),
    np.ones([2, 2]),
    np.ones([2, 3]),
    np.arange(12).reshape(2, 3, 2),
  )
  store.write(setting, [0, 1], curves)
  assert_bits(store.read(setting, [0, 1]), curves._asdict())
  table = pd.read_parquet(tmp_path / 'variance').query('seed == 1')
  places = table.set_index(['step', 'layer'])
  assert places.index.is_monotonic_increasing and len(places) == 1 + 2 + 3 + 6
  assert places.final.dropna().to_dict() == {(-1, 0): 1}
  assert places.grad[100, 2] == 11 and places.loss[10, 0] == 1


def test_pandas_polars_and_duckdb_agree_on_a_folder_of_settings(tmp_path):
  for config in Config(), Config('he', gain=2):
    setting = opened(tmp_path, config)
    store.write(setting, range(6), made(range(6)))
    (setting.path / '.seeds-0000000000-0000000003.parquet.1.tmp').touch()
  folder = str(tmp_path / 'variance')
  tables = {
    'pandas': pd.read_parquet(folder),
    'polars': pl.read_parquet(f'{folder}/**/*.parquet'),
    'duckdb': duckdb.sql(f"from '{folder}/**/*.parquet'").df(),
  }
  for name in 'run', 'init', 'gain', 'widths', 'seed', 'layer', 'loss', 'std':
    columns = [pd.Series(table[name].to_list()) for table in tables.values()]
    assert len(columns[0]) == 2 * 6 * 4
    for column in columns:
      pd.testing.assert_series_equal(column.fillna(-1), columns[0].fillna(-1))
  for table in tables.values():
    own = np.asarray(table['layer']) > 0
    np.testing.assert_array_equal(
      np.stack(np.asarray(table['values'].to_list(), object)[own]),
      np.tile(made(range(6)).values.reshape(-1, 5), [2, 1]),
    )


def test_a_shard_grows_and_keeps_what_it_has(tmp_path):
  setting = opened(tmp_path)
  store.write(setting, [3, 0], made([3, 0]))
  other = made([0, 1])._replace(loss=np.array([7.0, 8.0]))
  store.write(setting, [0, 1], other)
  store.write(setting, [5, 5], made([5, 5]))
  names = [path.name for path in shards(setting)]
  assert names == [
    'seeds-0000000000-0000000003.parquet',
    'seeds-0000000004-0000000007.parquet',
  ]
  np.testing.assert_array_equal(
    store.read(setting, [0, 1, 3])['loss'], np.array([0, 8, -1], 'f')
  )
  assert pd.read_parquet(tmp_path / 'variance').seed.nunique() == 4
  before = shards(setting)[0].stat().st_mtime_ns
  store.write(setting, [0, 1], other)
  assert shards(setting)[0].stat().st_mtime_ns == before
  assert opened(tmp_path, block=100).block == 4


def test_the_folder_is_named_by_what_decides_the_bits(tmp_path):
  path = opened(tmp_path).path
  assert path.name.startswith('glorot-tanh-')
  time.sleep(0.01)
  same = [
    opened(tmp_path, bits=dict(reversed(BITS.items()))),
    opened(tmp_path, Config(gain=1)),
    opened(tmp_path, prefix='other=words'),
    opened(tmp_path, environment={'host': 'other'}),
  ]
  assert {setting.path for setting in same} == {path}
  other = [
    opened(tmp_path, Config(gain=2)),
    opened(tmp_path, bits=BITS | {'lanes': 4}),
    opened(tmp_path, result=Curves),
    opened(tmp_path / 'elsewhere', Config(gain=3), prefix='init=he/../x'),
  ]
  assert len({setting.path.name for setting in (*same, *other)}) == 5
  assert (
    '=' not in other[-1].path.name and other[-1].path.parent.parent.exists()
  )
  # Pinned: a change here makes every stored result missing.
  assert path.name == 'glorot-tanh-5f73960828d3'


def test_everything_that_decides_the_bits_is_in_folder_and_footer(tmp_path):
  setting = opened(tmp_path)
  store.write(setting, [1], made([1]))
  recorded = json.loads((setting.path / '_setting.json').read_text())
  footer = json.loads(pq.read_schema(shards(setting)[0]).metadata[b'initlab'])
  assert recorded == footer['setting'] == setting.identity
  assert recorded['bits'] == BITS and recorded['config']['gain'] == 1
  assert footer['seeds'] == [1] and footer['environment'] == {'python': '3'}


def test_another_setting_is_refused_with_what_differs(tmp_path):
  mine, other = opened(tmp_path), opened(tmp_path, Config(gain=2))
  store.write(other, [1], made([1]))
  os.replace(shards(other)[0], mine.path / shards(other)[0].name)
  for act in (
    lambda: store.done(mine),
    lambda: store.read(mine, [1]),
    lambda: store.write(mine, [2], made([2])),
  ):
    with pytest.raises(base.UserError, match=r'gain is 2.0 there and 1.0 here'):
      act()
  os.replace(other.path / '_setting.json', mine.path / '_setting.json')
  with pytest.raises(base.UserError, match=r'gain is 2.0 there and 1.0 here'):
    opened(tmp_path)


@pytest.mark.parametrize(
  'result, message',
  [
    (made([1, 2]), 'loss .*shape'),
    (made([1])._replace(std=np.ones([1, 2])), r'std .*shape|values .*shape'),
    (made([1])._replace(loss=np.array([1e-300])), 'loss .*float64.*float32'),
    (made([1])._replace(loss=np.array([1e300])), 'loss .*float64.*float32'),
    (made([1])._replace(loss=np.array([2**24 + 1])), 'loss .*int64.*float32'),
    (made([1], layers=2), 'std has seeds of shapes'),
  ],
)
def test_a_result_that_does_not_fit_is_refused(tmp_path, result, message):
  setting = opened(tmp_path)
  store.write(setting, [0], made([0]))
  with pytest.raises(base.UserError, match=message):
    store.write(setting, [1], result)
  np.testing.assert_array_equal(store.done(setting), [0])


class Unannotated(NamedTuple):
  loss: float


class Misordered(NamedTuple):
  loss: Annotated[base.Array, ('layer', 'step')]


class Twin(NamedTuple):
  Gain: PerNetwork


@pytest.mark.parametrize(
  'knobs, message',
  [
    ({'result': Unannotated}, 'loss .*must be annotated'),
    ({'result': Misordered}, 'loss .*in this order'),
    ({'result': Twin}, 'same name: Gain, gain'),
    ({'bits': {'a': object()}}, 'cannot be part of the identity'),
    ({'block': 0}, 'block 0'),
  ],
)
def test_a_setting_that_cannot_be_stored_is_refused(tmp_path, knobs, message):
  with pytest.raises(base.UserError, match=message):
    opened(tmp_path, **knobs)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('seeds', [[-1], [2**32], [0.5]])
def test_seeds_outside_32_bits_are_refused(tmp_path, seeds):
  with pytest.raises(base.UserError, match='seeds'):
    store.missing(opened(tmp_path), seeds)


def test_reading_no_seeds_is_refused(tmp_path):
  with pytest.raises(base.UserError, match='empty'):
    store.read(opened(tmp_path), [])


def recomputed(setting, seeds):
  """What a caller does: computes what is missing until all can be read."""
  while True:
    todo = store.missing(setting, seeds)
    store.write(setting, todo, made(todo))
    try:
      return store.read(setting, seeds)
    except store.MissingSeeds:
      continue


@pytest.mark.parametrize('keep', [0, 3, 100, -1])
def test_a_truncated_shard_is_named_set_aside_and_recomputed(tmp_path, keep):
  setting = opened(tmp_path)
  store.write(setting, range(8), made(range(8)))
  path = shards(setting)[0]
  path.write_bytes(path.read_bytes()[:keep])
  with pytest.warns(UserWarning, match=f'{path.name} is broken'):
    np.testing.assert_array_equal(store.done(setting), [4, 5, 6, 7])
  assert pd.read_parquet(tmp_path / 'variance').seed.nunique() == 4
  assert_bits(recomputed(setting, range(8)), made(range(8))._asdict())


@pytest.mark.filterwarnings('ignore:.*is broken')
def test_no_flipped_bit_goes_unnoticed(tmp_path):
  """A bit anywhere in the file either breaks it or is not one of the data's."""
  setting = opened(tmp_path)
  store.write(setting, range(4), made(range(4)))
  path = shards(setting)[0]
  intact = path.read_bytes()
  generator = random.Random(0)
  broken = 0
  for _ in range(300):
    content = bytearray(intact)
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)
    try:
      assert_bits(store.read(setting, range(4)), made(range(4))._asdict())
    except store.MissingSeeds:
      broken += 1
  assert broken > 30


def test_a_broken_setting_file_is_written_again(tmp_path):
  setting = opened(tmp_path)
  store.write(setting, [1], made([1]))
  (setting.path / '_setting.json').write_text('{"experi')
  with pytest.warns(UserWarning, match='_setting.json is broken'):
    opened(tmp_path)
  np.testing.assert_array_equal(store.done(opened(tmp_path)), [1])


def test_shards_of_two_sizes_are_refused(tmp_path):
  setting = opened(tmp_path)
  store.write(setting, [1], made([1]))
  store.write(setting._replace(block=8), [9], made([9]))
  with pytest.raises(base.UserError, match='shards of 4 and 8 seeds'):
    opened(tmp_path)


@pytest.mark.parametrize('call', ['open', 'fsync', 'replace'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EACCES])
def test_when_the_disk_refuses_all_is_as_before(
  tmp_path, monkeypatch, call, code
):
  setting = opened(tmp_path)
  store.write(setting, [0], made([0]))
  before = sorted(setting.path.iterdir())

  def refuse(*args, **kwargs):
    raise OSError(code, os.strerror(code))

  with monkeypatch.context() as patch:
    if call == 'open':
      patch.setattr('builtins.open', refuse)
    else:
      patch.setattr(os, call, refuse)
    with pytest.raises(base.UserError) as told:
      store.write(setting, [1], made([1]))
  path = shards(setting)[0]
  assert str(told.value) == f'cannot write {path}: {os.strerror(code)}'
  assert sorted(setting.path.iterdir()) == before
  np.testing.assert_array_equal(store.done(setting), [0])


def test_a_root_that_is_a_file_is_told(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(base.UserError, match=r'cannot \w+ .*file.*irectory'):
    opened(tmp_path / 'file')


def test_an_unreadable_shard_is_told_and_stays(tmp_path, monkeypatch):
  setting = opened(tmp_path)
  store.write(setting, [0], made([0]))

  def refuse(*args, **kwargs):
    raise OSError(errno.EIO, os.strerror(errno.EIO))

  monkeypatch.setattr(pq, 'read_schema', refuse)
  with pytest.raises(
    base.UserError, match=r'cannot read .*: Input/output error'
  ):
    store.done(setting)
  assert len(shards(setting)) == 1


def test_text_is_written_whole_in_a_new_folder(tmp_path):
  path = tmp_path / 'new' / '_page.html'
  files.write_text(path, 'gain √2')
  files.write_bytes(path, 'gain √3'.encode())
  assert path.read_text() == 'gain √3'
  assert list(path.parent.iterdir()) == [path]


class Std(NamedTuple):
  std: PerLayer


# Imports no test module, which would load pandas in every process.
WRITER = """
import dataclasses, sys, typing
import numpy as np
from initlab.engine import store
from initlab.experiment import PerLayer
Std = typing.NamedTuple('Std', [('std', PerLayer)])
Config = dataclasses.make_dataclass('Config', [])
setting = store.open_setting(
  sys.argv[1], 'race', 'x', Config(), {}, Std, block=8, environment={}
)
print('ready', flush=True)
sys.stdin.readline()
for first in range(0, 100_000, 6):
  seeds = np.arange(first, first + 6) + int(sys.argv[2])
  store.write(setting, seeds, Std(
    np.sqrt(seeds[:, None] + np.arange(500.0)).astype('f')
  ))
"""


def test_writers_that_race_and_are_killed_leave_only_intact_shards(tmp_path):
  """Two processes write overlapping seeds of the same blocks, then die."""
  writers = [
    subprocess.Popen(
      [sys.executable, '-W', 'error', '-c', WRITER, tmp_path, str(offset)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      cwd=pathlib.Path(store.__file__).parents[2],
    )
    for offset in (0, 2)
  ]
  for writer in writers:
    assert writer.stdout.readline() == b'ready\n'
  for writer in writers:
    writer.stdin.write(b'\n')
    writer.stdin.flush()
  deadline = time.monotonic() + 60
  while len(list(tmp_path.rglob('seeds-*'))) < 3:
    assert time.monotonic() < deadline
    time.sleep(0.05)
  for writer in writers:
    time.sleep(0.3)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
  Config = dataclasses.make_dataclass('Config', [])
  setting = store.open_setting(
    tmp_path, 'race', 'x', Config(), {}, Std, block=8, environment={}
  )
  seeds = store.done(setting)
  assert seeds.size > 6
  np.testing.assert_array_equal(
    store.read(setting, seeds)['std'],
    np.sqrt(seeds[:, None] + np.arange(500.0)).astype('f'),
  )
  rows = pd.read_parquet(tmp_path / 'race')
  assert not rows.duplicated(['seed', 'layer']).any()
  assert len(rows) == 500 * seeds.size
  assert len(list(setting.path.glob('.*'))) <= len(writers)
