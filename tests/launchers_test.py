"""More than one machine: the files are those of one process, byte for byte."""

import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from initlab import launch, study

_ROOT = pathlib.Path(__file__).parents[1]
_FLAGS = (
  '--dataset=xor',
  '--widths=6',
  '--examples=4',
  '--test_size=4',
  '--batch_size=3',
  '--steps=7',
  '--seeds=0:20',
  '--lanes=2',
)


def _start(out, *flags):
  """The program, in a process that has no terminal."""
  cache = out.parent / 'cache'
  return subprocess.Popen(
    [
      sys.executable,
      *('-m', 'experiments.learning', *_FLAGS, *flags),
      *(f'--out={out}', f'--compile_cache={cache}'),
    ],
    cwd=_ROOT,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(process):
  """What it printed."""
  out, errors = process.communicate(timeout=200)
  assert process.returncode == 0, errors
  return out


def _shards(out):
  return {
    str(path.relative_to(out)): path.read_bytes()
    for path in out.rglob('seeds-*.parquet')
  }


def _times(out):
  return {path: path.stat().st_mtime_ns for path in out.rglob('*.*')}


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """A folder beside which others may be, and what one process prints."""
  out = tmp_path_factory.mktemp('launchers') / 'alone'
  printed = _finish(_start(out))
  assert len(_shards(out)) == 1
  return out, printed


def _body(printed):
  """A report without its facts, which name folder and command."""
  return printed.partition('\ncommand')[0]


@pytest.mark.parametrize('block', [1, 8, 64])
@pytest.mark.parametrize('count', [1, 2, 3, 7, 40])
@pytest.mark.parametrize('text', ['0:32', '5', '0:100', '3:200,1000:1100'])
def test_shares_are_disjoint_complete_and_even(text, count, block):
  seeds = launch.read_seeds(text)
  shares = [
    study.share(seeds, block, study.Shard(index, count))
    for index in range(count)
  ]
  np.testing.assert_array_equal(np.sort(np.concatenate(shares)), seeds)
  most = max(map(len, shares))
  assert most <= max(1.25 * len(seeds) / count, -(-len(seeds) // count))


def test_workers_that_can_do_not_share_a_file():
  seeds = launch.read_seeds('0:512')
  shares = [study.share(seeds, 64, study.Shard(i, 4)) for i in range(4)]
  files = [set((seeds // 64).tolist()) for seeds in shares]
  assert not set.intersection(*files)
  assert set.union(*files) == set(range(8))


def test_two_workers_at_once_write_what_one_process_writes(alone):
  expected, printed = alone
  out = expected.parent / 'shards'
  both = [_start(out, '--num_shards=2', f'--shard_index={i}') for i in (0, 1)]
  for index, process in enumerate(both):
    assert _finish(process) == (
      f'shard {index} of 2: 10 seeds of all settings, 10 computed, 0 there '
      'before\n'
    )
  report = _finish(_start(out, '--num_shards=2'))
  assert _body(report) == _body(printed)
  assert _shards(out) == _shards(expected)
  before = _times(out)
  assert '0 computed' in _finish(
    _start(out, '--num_shards=2', '--shard_index=1')
  )
  assert _times(out) == before


def test_two_processes_of_one_program_write_what_one_process_writes(alone):
  """Each has as many CPU devices as this machine has cores, at least two."""
  expected, printed = alone
  out = expected.parent / 'distributed'

  def run():
    with socket.socket() as free:
      free.bind(('127.0.0.1', 0))
      address = f'127.0.0.1:{free.getsockname()[1]}'
    flags = '--distributed', f'--coordinator_address={address}'
    both = [
      _start(out, *flags, '--num_processes=2', f'--process_id={index}')
      for index in (0, 1)
    ]
    return [_finish(process) for process in both]

  report, line = run()
  assert _body(report) == _body(printed)
  assert line.startswith('shard 1 of 2: 10 seeds of all settings, 10 computed')
  assert _shards(out) == _shards(expected)
  before = _times(out)
  again, line = run()
  assert _body(again) == _body(printed)
  assert '0 computed' in line
  assert _times(out) == before
