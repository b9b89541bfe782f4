"""Killed, corrupted, crowded: the rows are those of a run never stopped."""

import contextlib
import json
import os
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from initlab.engine import checkpoints, resume, study
from initlab.instruments import learning
from initlab.launch import machine
from tests.helpers import programs

pytestmark = pytest.mark.bits

_FLAGS = (
  '--dataset=xor',
  '--widths=6x2',
  '--batch_size=3',
  '--record_every=5000',
  '--test_size=4',
  '--examples=4',
  '--optimizer=momentum',
  '--schedule=cosine',
  '--lanes=1',
)


# The whole program, in processes that are killed.


def _start(out, cache, *flags):
  places = f'--out={out}', f'--compile_cache={cache}'
  return programs.start('learning', *_FLAGS, *flags, *places)


def _rows(out):
  """Every row of every setting, as text: NaN is equal to NaN there."""
  shards = sorted((out / 'learning').rglob('seeds-*.parquet'))
  return {
    str(path.relative_to(out)): repr(pq.read_table(path).to_pydict())
    for path in shards
  }


def _under_way(out):
  """The step of each checkpoint, by file."""
  steps = {}
  for path in out.rglob('_checkpoint-*.bin'):
    with contextlib.suppress(FileNotFoundError):
      steps[path.name] = json.loads(path.read_bytes().split(b'\n')[1])['step']
  return steps


def _kill_in_training(process, out, delay):
  """SIGKILL, some time after a checkpoint that was not there before."""
  before, deadline = _under_way(out), time.monotonic() + 120
  while process.poll() is None and _under_way(out) in ({}, before):
    assert time.monotonic() < deadline
    time.sleep(0.01)
  time.sleep(delay)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  return process.returncode == -signal.SIGKILL


def _kill_many_times(tmp_path, kills, flags):
  """Compares a run that is killed again and again with one that is not."""
  cache = tmp_path / 'cache'
  whole, torn = tmp_path / 'whole', tmp_path / 'torn'
  programs.finish(_start(whole, cache, *flags, '--checkpoint_every=1e6'))
  # Pictures are slow, and not what is looked at.
  shutil.copytree(whole / 'reports', torn / 'reports')
  hits = 0
  dice = random.Random(0)
  for _ in range(kills):
    process = _start(torn, cache, *flags, '--checkpoint_every=0.02')
    hits += _kill_in_training(process, torn, dice.uniform(0, 0.4))
  assert hits, 'no kill came in time: train for longer'
  programs.finish(_start(torn, cache, *flags, '--checkpoint_every=0.02'))
  assert _rows(torn) == _rows(whole)
  assert not _under_way(torn)


@pytest.mark.slow
def test_killed_the_rows_are_the_same_to_the_bit(tmp_path):
  _kill_many_times(tmp_path, 1, ('--seeds=0:2', '--steps=60000'))


@pytest.mark.slow
def test_killed_many_times_the_rows_are_the_same_to_the_bit(tmp_path):
  flags = '--seeds=0:6', '--steps=200000', '--init=glorot,standard'
  _kill_many_times(tmp_path, 20, flags)


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_write_the_same_rows(tmp_path):
  flags = '--seeds=0:6', '--steps=100000', '--checkpoint_every=0.02'
  cache = tmp_path / 'cache'
  whole, shared = tmp_path / 'whole', tmp_path / 'shared'
  programs.finish(_start(whole, cache, *flags))
  for _ in range(3):
    both = [_start(shared, cache, *flags) for _ in range(2)]
    _kill_in_training(both[0], shared, 0.2)
    programs.finish(both[1])
    assert _rows(shared) == _rows(whole)
    for path in (shared / 'learning').rglob('seeds-*.parquet'):
      path.unlink()
  programs.finish(_start(shared, cache, *flags))
  assert _rows(shared) == _rows(whole)
  assert not _under_way(shared)


# The same in one process, where the interruption comes when we want it.


class _Interrupted(Exception):
  pass


def _options(out, seeds, **knobs):
  options = study.Options(
    seeds=np.array(seeds, np.uint32),
    root_seed=0,
    lanes=1,
    devices=0,
    matmul_precision='highest',
    out=out,
    data_dir='',
    command='none',
    checkpoint_every=0.0,
  )
  return options._replace(**knobs)


def _run(out, seeds, stop_after=np.inf, settings=(learning.SMOKE,), **knobs):
  """Runs a sweep, saving after each piece; returns rows and seeds trained."""
  trained = []

  @contextlib.contextmanager
  def advance(total):
    del total

    def progress(label, count):
      del label
      if sum(trained) >= stop_after:
        raise _Interrupted
      trained.append(count)

    yield progress

  experiment = learning.EXPERIMENT._replace(panels=())
  with contextlib.suppress(_Interrupted):
    study.run(experiment, settings, _options(out, seeds, **knobs), advance)
  return _rows(out), sum(trained)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  rows, trained = _run(tmp_path_factory.mktemp('whole'), range(3))
  assert trained == pytest.approx(3)
  return rows


def _interrupted(out):
  """A sweep of three seeds that stops within the first; its checkpoint."""
  rows, trained = _run(out, range(3), stop_after=0.5)
  assert not rows
  assert 0.5 <= trained < 2
  (path,) = out.rglob('_checkpoint-*.bin')
  return path


def test_a_run_goes_on_from_its_checkpoint(tmp_path, whole):
  path = _interrupted(tmp_path)
  step = _under_way(tmp_path)[path.name]
  assert 0 < step < learning.SMOKE.steps
  rows, _ = _run(tmp_path, range(3))
  assert rows == whole
  assert not list(tmp_path.rglob('_checkpoint-*'))


def test_an_interruption_saves_what_is_under_way(tmp_path, whole):
  """It arrives at the end of the second piece, long before a save is due."""
  pieces = []

  @contextlib.contextmanager
  def uninterrupted():
    yield
    pieces.append(1)
    if len(pieces) == 2:
      raise _Interrupted

  late = {'checkpoint_every': 1e6}
  _run(tmp_path, range(3), uninterrupted=uninterrupted, **late)
  (step,) = _under_way(tmp_path).values()
  assert 0 < step < learning.SMOKE.steps
  assert _run(tmp_path, range(3), **late)[0] == whole


def test_what_ends_within_a_piece_leaves_no_half_a_piece(tmp_path, whole):
  def broken():
    raise _Interrupted

  _run(tmp_path, range(3), uninterrupted=broken, checkpoint_every=1e6)
  assert not _under_way(tmp_path)
  assert _run(tmp_path, range(3))[0] == whole


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_a_piece_a_second_does_not(number):
  before = signal.getsignal(number)
  done = []
  with pytest.raises(KeyboardInterrupt), machine.uninterrupted():
    signal.raise_signal(number)
    done.append('all')
  with pytest.raises(KeyboardInterrupt), machine.uninterrupted():
    signal.raise_signal(number)
    signal.raise_signal(number)
    done.append('too much')
  assert done == ['all']
  assert signal.getsignal(number) is before


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_interrupted_saves_what_is_under_way(
  tmp_path, number
):
  """The first save is due after three seconds, the next three later."""
  flags = '--seeds=0:2', '--steps=10000000', '--record_every=500000'
  process = _start(tmp_path, 'none', *flags, '--checkpoint_every=3')
  deadline = time.monotonic() + 120
  while not _under_way(tmp_path) and time.monotonic() < deadline:
    time.sleep(0.01)
  for path in tmp_path.rglob('_checkpoint-*'):
    path.unlink()
  process.send_signal(number)
  begin = time.monotonic()
  _, errors = programs.finish(process, 130)
  assert time.monotonic() - begin < 3
  assert 'learning: interrupted; finished seeds and checkpoints' in errors
  assert _under_way(tmp_path)


@pytest.mark.slow
def test_other_seeds_of_a_checkpoint_go_on_later(tmp_path, whole):
  """--seeds=1 takes up one of the two seeds of a checkpoint."""
  path = _interrupted(tmp_path)
  _run(tmp_path, [1])
  assert path.exists()
  rows, _ = _run(tmp_path, range(3))
  assert rows == whole
  assert not path.exists()


@pytest.mark.slow
def test_fewer_devices_go_on_with_what_more_began(tmp_path, whole):
  _interrupted(tmp_path)
  rows, _ = _run(tmp_path, range(3), devices=1)
  assert rows == whole


@pytest.mark.slow
@pytest.mark.parametrize('damage', ['truncated', 'altered', 'empty', 'other'])
def test_a_broken_checkpoint_is_named_and_computed_again(
  tmp_path, whole, damage
):
  path = _interrupted(tmp_path)
  content = path.read_bytes()
  altered = bytearray(content)
  altered[-5] ^= 1
  path.write_bytes(
    {
      'truncated': content[: len(content) // 2],
      'altered': bytes(altered),
      'empty': b'',
      'other': checkpoints.encode(
        checkpoints.Checkpoint(np.arange(2), 3, {'w': np.ones((2, 5))})
      ),
    }[damage]
  )
  with pytest.warns(UserWarning, match=f'{path.name} is broken'):
    rows, _ = _run(tmp_path, range(3))
  assert rows == whole
  assert (path.parent / f'.{path.name}.corrupt').exists()


def test_more_seeds_and_settings_train_only_what_is_new(tmp_path, whole):
  _, first = _run(tmp_path, range(2))
  rows, second = _run(tmp_path, range(3))
  assert (first, second) == (pytest.approx(2), pytest.approx(1))
  assert rows == whole
  other = learning.Config(
    **{**vars(learning.SMOKE), 'learning_rate': 0.3, 'bias': 0.1}
  )
  _, third = _run(tmp_path, range(3), settings=(learning.SMOKE, other))
  assert third == pytest.approx(3)


def test_the_work_of_another_process_is_not_done_again(tmp_path):
  """The second half is stored while the first is in training."""
  other = tmp_path / 'other'
  _run(other, range(4))
  (shard,) = other.rglob('seeds-*.parquet')
  trained = []

  @contextlib.contextmanager
  def advance(total):
    del total

    def progress(label, count):
      trained.append(count)
      mine = tmp_path / shard.relative_to(other)
      if label and not mine.exists() and sum(trained) > 0:
        os.link(shard, mine)

    yield progress

  experiment = learning.EXPERIMENT._replace(panels=())
  options = _options(tmp_path, range(4), checkpoint_every=1e6)
  study.run(experiment, [learning.SMOKE], options, advance)
  assert sum(trained) == pytest.approx(2)


def test_one_program_for_settings_that_differ_in_numbers(tmp_path):
  traced = []

  def start(*args):
    traced.append(1)
    return learning.TRAINING.start(*args)

  training = learning.TRAINING._replace(start=start)
  experiment = learning.EXPERIMENT._replace(panels=(), training=training)
  settings = [
    learning.Config(**{**vars(learning.SMOKE), **knobs})
    for knobs in (
      {'gain': 1.5},
      {'gain': 0.5, 'learning_rate': 0.3},
      {'gain': 2.0, 'bias': 0.1},
    )
  ]

  @contextlib.contextmanager
  def advance(total):
    del total
    yield lambda label, count: None

  study.run(experiment, settings, _options(tmp_path, [0]), advance)
  # Once abstractly, for the shapes of a checkpoint, and once to compile.
  assert len(traced) <= 2


def test_one_seed_in_a_fresh_place_is_that_of_the_sweep(tmp_path):
  sweep, _ = tmp_path / 'sweep', _run(tmp_path / 'sweep', range(5))
  _run(tmp_path / 'replay', [3])
  rows = [
    next((place / 'learning').rglob('seeds-*.parquet'))
    for place in (sweep, tmp_path / 'replay')
  ]
  many, one = (pq.read_table(path) for path in rows)
  mine = np.flatnonzero(many['seed'].to_numpy() == 3)
  assert repr(many.take(mine).to_pydict()) == repr(one.to_pydict())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_seeds(tmp_path):
  """What 27,000 more seeds add is bounded by what waits to be stored.

  That is held as it came, put together, and once more as the content of a
  file; the same is left for what the allocators do not give back. The results
  of the seeds themselves take far more.
  """
  peaks = []
  for count in 3_000, 30_000:
    flags = '--steps=2', f'--seeds=0:{count}', '--lanes=512', '--shard_index=0'
    with _start(tmp_path / str(count), tmp_path / 'cache', *flags) as process:
      _, process.returncode, usage = os.wait4(process.pid, 0)
    assert process.returncode == 0
    peaks.append(usage.ru_maxrss * 1024)
  table = pq.read_table(next(tmp_path.rglob('seeds-*.parquet')))
  a_seed = table.nbytes / len(set(table['seed'].to_pylist()))
  allowed = 6 * resume._HELD
  assert peaks[1] - peaks[0] < allowed < 27_000 * a_seed


# The files.


def test_a_checkpoint_comes_back_with_its_types():
  import jax.numpy as jnp

  tree = {
    'a': jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3),
    'b': (np.array([True, False]), np.array([-1, 7], np.int32)),
    'c': np.array([np.nan, np.inf], np.float32),
  }
  wanted = checkpoints.Checkpoint(np.array([4, 9], np.uint32), 12, tree)
  found = checkpoints.decode(checkpoints.encode(wanted), tree)
  assert found.step == 12
  np.testing.assert_array_equal(found.seeds, wanted.seeds)
  assert found.tree['a'].dtype == jnp.bfloat16
  for a, b in zip(found.tree['b'], tree['b'], strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
  np.testing.assert_array_equal(found.tree['a'], np.asarray(tree['a']))
  np.testing.assert_array_equal(found.tree['c'], tree['c'])


@pytest.mark.parametrize('place', range(0, 400, 13))
def test_no_altered_byte_goes_unnoticed(place):
  tree = {'w': np.arange(40, dtype=np.float32).reshape(2, 20)}
  content = checkpoints.encode(
    checkpoints.Checkpoint(np.array([0, 1], np.uint32), 3, tree)
  )
  altered = bytearray(content)
  altered[place % len(content)] ^= 4
  with pytest.raises(ValueError, match='checksum'):
    checkpoints.decode(bytes(altered), tree)


def test_checkpoints_are_not_rows(tmp_path):
  _interrupted(tmp_path)
  _run(tmp_path, [9])
  assert list(tmp_path.rglob('_checkpoint-*'))
  frame = pd.read_parquet(tmp_path / 'learning')
  assert set(frame['seed']) == {9}
