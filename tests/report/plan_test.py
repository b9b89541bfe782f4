"""A plan says what would be done, and does nothing."""

import re

import pytest

from initlab import launch
from initlab.instruments import learning

_TINY = (
  '--dataset=xor',
  '--examples=4',
  '--test_size=4',
  '--batch_size=3',
  '--widths=6x2',
  '--lanes=2',
  '--compile_cache=none',
)
_EXPERIMENT = learning.EXPERIMENT._replace(panels=())
_LONG = '--steps=1000', '--record_every=1000'


def _main(tmp_path, capsys, *argv):
  """What the program prints, in this process."""
  flags = [*_TINY, f'--out={tmp_path / "results"}', *argv]
  with pytest.raises(SystemExit) as exit_:
    launch.main(_EXPERIMENT, ['learning', *flags])
  printed = capsys.readouterr()
  assert exit_.value.code == 0, printed.err
  return printed.out


def test_a_plan_counts_what_is_missing_and_leaves_nothing(tmp_path, capsys):
  flags = (
    '--steps=3',
    '--record_every=3',
    '--seeds=0:20',
    '--bias=0,1',
    '--num_shards=3',
  )
  run = lambda *more: _main(tmp_path, capsys, *flags, *more)
  plan = run('--dry_run')
  for setting in 'bias 0.0', 'bias 1.0':
    assert re.search(f'^{setting} +0 +20 +2 +4 +5 ', plan, re.MULTILINE)
  assert re.search(r'^1 +14 +14$', plan, re.MULTILINE)
  assert '40 seeds are missing' in plan
  assert not list(tmp_path.iterdir())
  assert run('--shard_index=2').endswith('12 computed, 0 stored before\n')
  files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
  plan = run('--dry_run')
  assert re.search(r'^bias 1.0 +6 +14 +2 +4 +4 ', plan, re.MULTILINE)
  assert re.search(r'^1 +14 +14\n2 +12 +0$', plan, re.MULTILINE)
  assert '28 seeds are missing' in plan
  assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}


def test_the_cost_of_a_training_is_that_of_its_steps(tmp_path, capsys):
  """Products of 2-6-6-2: 60 multiplications an example up, 108 more down.

  Down, every layer has the gradient of its weights, and all but the first that
  of its input: 60 + 48. At 2 operations, 3 examples a step and 1,000 steps that
  is 1.008 MFLOP; both records look at 4 examples, for under 1% of it.
  """
  plan = _main(tmp_path, capsys, *_LONG, '--seeds=0:4', '--dry_run')
  assert re.search(r'^glorot .* 1\.01 MFLOP$', plan, re.MULTILINE)
  assert not list(tmp_path.iterdir())
