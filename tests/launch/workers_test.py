"""More than one machine: the files are those of one process, byte for byte."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from initlab import base
from initlab.engine import partition
from initlab.launch import parsing, workers
from tests.helpers import programs

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
  cache = out.parent / 'cache'
  places = f'--out={out}', f'--compile_cache={cache}'
  return programs.start('learning', *_FLAGS, *flags, *places, '--verbose')


def _finish(process):
  """What it printed."""
  return programs.finish(process)[0]


def _shards(out):
  return {
    str(path.relative_to(out)): path.read_bytes()
    for path in out.rglob('seeds-*.parquet')
  }


def _times(out, pattern='*.*'):
  return {path: path.stat().st_mtime_ns for path in out.rglob(pattern)}


def _two_processes(out):
  """What process 0 and process 1 of one program print."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
  flags = '--distributed', f'--coordinator_address={address}'
  both = [
    _start(out, *flags, '--num_processes=2', f'--process_id={index}')
    for index in (0, 1)
  ]
  return [_finish(process) for process in both]


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """A folder beside which others may be, and what one process prints."""
  out = tmp_path_factory.mktemp('launchers') / 'alone'
  printed = _finish(_start(out))
  assert len(_shards(out)) == 1
  return out, printed


def _beside(alone, name):
  """A folder for the same rows; it has the pictures, since these are slow."""
  out = alone.parent / name
  shutil.copytree(alone / 'reports', out / 'reports')
  return out


def _body(printed):
  """A report without its facts, which name folder and command."""
  return printed.partition('\ncommand')[0]


@pytest.mark.parametrize('block', [1, 8, 64])
@pytest.mark.parametrize('count', [1, 2, 3, 7, 40])
@pytest.mark.parametrize('text', ['0:32', '5', '0:100', '3:200,1000:1100'])
def test_shares_are_disjoint_complete_and_even(text, count, block):
  seeds = parsing.seeds(text)
  shares = [
    partition.share(seeds, block, partition.Worker(index, count))
    for index in range(count)
  ]
  np.testing.assert_array_equal(np.sort(np.concatenate(shares)), seeds)
  most = max(map(len, shares))
  assert most <= max(1.25 * len(seeds) / count, -(-len(seeds) // count))


def test_workers_that_can_do_not_share_a_file():
  seeds = parsing.seeds('0:512')
  shares = [
    partition.share(seeds, 64, partition.Worker(i, 4)) for i in range(4)
  ]
  files = [set((seeds // 64).tolist()) for seeds in shares]
  assert not set.intersection(*files)
  assert set.union(*files) == set(range(8))


@pytest.mark.slow
def test_two_workers_at_once_write_what_one_process_writes(alone):
  expected, printed = alone
  out = _beside(expected, 'shards')
  both = [_start(out, '--num_shards=2', f'--shard_index={i}') for i in (0, 1)]
  for index, process in enumerate(both):
    assert _finish(process) == (
      f'shard {index} of 2: 10 seeds of all settings, 10 computed, 0 stored '
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


@pytest.mark.slow
def test_two_processes_of_one_program_write_what_one_process_writes(alone):
  """Each has as many CPU devices as this machine has cores, at least two."""
  expected, printed = alone
  out = _beside(expected, 'distributed')
  report, line = _two_processes(out)
  assert _body(report) == _body(printed)
  assert line.startswith('shard 1 of 2: 10 seeds of all settings, 10 computed')
  assert _shards(out) == _shards(expected)


@pytest.mark.slow
def test_jobs_write_what_one_process_writes(alone):
  expected, printed = alone
  out = _beside(expected, 'jobs')
  flags = '--launcher=local', '--num_shards=2'
  process = _start(out, *flags)
  report, errors = programs.finish(process)
  assert errors.count('10 seeds of all settings, 10 computed') == 2
  assert _body(report) == _body(printed)
  assert _shards(out) == _shards(expected)


@pytest.mark.slow
def test_what_is_there_is_not_computed_again(alone):
  expected, printed = alone
  before = _times(expected, 'seeds-*')
  report, line = _two_processes(expected)
  assert _body(report) == _body(printed)
  assert '0 computed' in line
  jobs = _start(expected, '--launcher=local', '--num_shards=2')
  report, errors = programs.finish(jobs)
  assert _body(report) == _body(printed)
  assert errors.count('0 computed') == 2
  assert _times(expected, 'seeds-*') == before


def test_a_job_that_fails_says_why(tmp_path):
  process = _start(tmp_path / 'out', '--launcher=local', '--devices=99')
  report, errors = programs.finish(process, 1)
  assert report == ''
  assert 'shard 0' in errors
  assert '--devices=99: this machine has' in errors.splitlines()[-1]
  assert 'the same command resumes' in errors.splitlines()[-1]


@pytest.mark.skipif(shutil.which('srun') is not None, reason='SLURM is here')
def test_where_there_is_no_slurm_one_line_says_so(tmp_path):
  """In a process of its own: submitit takes over the handlers of logging."""
  process = _start(tmp_path / 'out', '--launcher=slurm')
  report, errors = programs.finish(process, 1)
  assert report == ''
  assert errors.startswith('learning: error: --launcher=slurm: ')
  assert errors.count('\n') == 1
  assert not list(tmp_path.iterdir())


def test_a_launcher_that_is_not_installed_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'submitit', None)
  with pytest.raises(base.UserError, match=r'pip install initlab\[slurm\]'):
    workers._imported('submitit', 'slurm')


def _descendants(pid):
  """`{pid: title}` of all processes below one."""
  lines = subprocess.check_output(['ps', '-eo', 'pid,ppid,args'], text=True)
  rows = [line.split(None, 2) for line in lines.splitlines()[1:]]
  found, last = {}, {pid}
  while last:
    below = {int(p): title for p, parent, title in rows if int(parent) in last}
    last = below.keys() - found.keys()
    found |= below
  return found


@pytest.mark.slow
def test_of_two_ray_workers_one_is_killed_and_the_rows_are_the_same(tmp_path):
  """SIGKILL, to a worker that is in training and has a checkpoint."""
  if importlib.util.find_spec('ray') is None:
    pytest.skip('ray is not installed: pip install initlab[ray]')
  long = '--steps=300000', '--record_every=100000', '--checkpoint_every=0.1'
  expected, out = tmp_path / 'alone', tmp_path / 'ray'
  printed = _finish(_start(expected, *long))
  ray = _start(out, *long, '--launcher=ray', '--num_shards=2')
  deadline = time.monotonic() + 200
  while not list(out.rglob('_checkpoint-*')) and time.monotonic() < deadline:
    time.sleep(0.05)
  workers = [
    pid for pid, title in _descendants(ray.pid).items() if 'ray::_run' in title
  ]
  assert len(workers) == 2
  os.kill(workers[0], signal.SIGKILL)
  report, errors = programs.finish(ray)
  assert errors.count('10 seeds of all settings, 10 computed') == 2
  assert _body(report) == _body(printed)
  assert _shards(out) == _shards(expected)
  before = _times(out)
  again = _finish(_start(out, *long, '--launcher=ray', '--num_shards=2'))
  assert _body(again) == _body(printed)
  assert _times(out) == before
