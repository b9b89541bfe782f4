"""An experiment in a folder of anybody's: it runs, resumes and replays."""

import os
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest

_EXPERIMENT = '''
"""What do my weights do to a gradient?"""

from typing import NamedTuple

import jax

from initlab import experiment, launch, networks

SWEEP = {'init': ['exp.laplace'], 'dataset': ['xor'], 'widths': [(6, 6)]}


class Result(NamedTuple):
  gradient_norm: experiment.PerLayer
  gradient_norm_ratio: experiment.PerNetwork


def laplace(key, shape, dtype):
  return jax.random.laplace(key, shape, dtype) / (2 * shape[0]) ** 0.5


@experiment.config
class Config(networks.Network):
  examples: int = experiment.knob(4, 'how many the network is shown', least=1)


load = networks.load('test')


def run(config, key, batch):
  params = config.draw(key)
  return Result(**networks.probed(config, params, batch, Result._fields))


EXPERIMENT = experiment.of_module(
  __name__,
  compared=('gradient_norm_ratio',),
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
'''


@pytest.fixture
def python(tmp_path):
  """Runs `python words` beside the experiment, and returns what it prints."""
  (tmp_path / 'my').mkdir()
  (tmp_path / 'my' / 'exp.py').write_text(_EXPERIMENT)

  def python(*words):
    done = subprocess.run(
      [sys.executable, *words, '--compile_cache=compiled'],
      cwd=tmp_path,
      env=os.environ | {'PYTHONPATH': os.getcwd()},
      capture_output=True,
      text=True,
      timeout=200,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

  return python


def test_an_experiment_of_anybody_runs(python, tmp_path):
  assert 'exp.laplace (3 seeds' in python('my/exp.py', '--seeds=0:3')
  rows = pd.read_parquet(tmp_path / 'results' / 'exp')
  assert set(rows.seed) == {0, 1, 2} and set(rows.init) == {'exp.laplace'}


@pytest.mark.slow
def test_an_experiment_of_anybody_resumes_and_replays(python, tmp_path):
  first = python('my/exp.py', '--seeds=0:3')
  rows = tmp_path / 'results' / 'exp'
  (shard,) = rows.rglob('*.parquet')
  written = shard.stat().st_mtime_ns
  assert python('my/exp.py', '--seeds=0:3') == first
  assert list(rows.rglob('*.parquet')) == [shard]
  assert shard.stat().st_mtime_ns == written

  words = re.sub(r'\s+', ' ', first)
  replay = re.search(r'replay python (\S*exp.py --flagfile=\S+) --out=', words)
  assert replay, first
  page = tmp_path / re.search(r'page +(\S+)', first)[1]
  flags = page.with_name('flags.txt').read_text()
  assert '--init=exp.laplace\n' in flags and '--examples=4\n' in flags
  # A later default of every kind, which is none of the flags of the run.
  edited = _EXPERIMENT.replace('knob(4', 'knob(3').replace("'xor'", "'digits'")
  (tmp_path / 'my' / 'exp.py').write_text(edited)
  python(*shlex.split(replay[1]), '--seeds=1', '--out=replay')
  before = pd.read_parquet(rows)
  after = pd.read_parquet(tmp_path / 'replay' / 'exp')
  assert set(after.seed) == {1}
  columns = ['layer', 'gradient_norm', 'gradient_norm_ratio', 'init']
  pd.testing.assert_frame_equal(
    before[before.seed == 1][columns].reset_index(drop=True),
    after[columns].reset_index(drop=True),
  )
