"""A tracker gets a run a setting: means and intervals over seeds, and links."""

import json
import pathlib
import sys
import types

import numpy as np
import pandas as pd
import pytest

from initlab import launch, stats
from initlab.experiment import Chapter, Claim, Collection, Finding, Outcome
from initlab.report import publish, tracking
from tests.helpers import tiny


class Recorder(types.ModuleType):
  """The part of wandb's API that is used; it greets on stdout, as they do.

  broken: the step at which it fails.
  """

  def __init__(self):
    super().__init__('wandb')
    self.runs, self.finished, self.broken = [], [], None

  def init(self, project, name, group, config, settings):
    print('hello')
    assert settings['quiet']
    json.dumps(config, allow_nan=False)
    self.runs.append((project, name, group, config, {}))
    return self

  def log(self, metrics, step):
    if step == self.broken:
      raise OSError('the disk\nis full')
    logged = self.runs[-1][-1]
    assert step not in logged and step >= max(logged, default=0)
    logged[step] = metrics

  def finish(self, exit_code=0):
    print('goodbye')
    self.finished.append(exit_code)


@pytest.fixture
def tracker(monkeypatch):
  recorder = Recorder()
  monkeypatch.setitem(sys.modules, 'wandb', recorder)
  monkeypatch.setattr(publish, 'write', lambda *args: None)
  return recorder


def _main(tmp_path, *argv, start=launch.main, program=tiny.EXPERIMENT):
  places = f'--out={tmp_path}', '--compile_cache=none'
  with pytest.raises(SystemExit) as exit_:
    start(program, ['tiny', '--seeds=0:5', *places, *argv])
  return exit_.value.code


def test_a_setting_is_a_run_of_aggregates_with_links(tmp_path, tracker, capsys):
  flags = '--scale=1,2', '--tracker=wandb', '--project=mine'
  assert _main(tmp_path, *flags) == 0
  told = capsys.readouterr()
  assert 'hello' in told.err and 'goodbye' in told.err
  assert 'hello' not in told.out
  assert '2 runs in the project mine of wandb\n' in told.out
  assert [(run[0], run[1], run[2]) for run in tracker.runs] == [
    ('mine', 'tiny: scale 1.0', 'tiny'),
    ('mine', 'tiny: scale 2.0', 'tiny'),
  ]
  *_, config, logged = tracker.runs[1]
  rows = pd.read_parquet(config['rows'])
  assert config['scale'] == 2.0 and config['widths'] == '3x2'
  assert 'mean_loss' in config['verdict'] and 'flags.txt' in config['replay']
  # The step is the layer; of the network as a whole, the last.
  assert sorted(logged) == [1, 2, 3]
  one = rows[(rows.scale == 2) & (rows.layer == 1)]['size'].to_numpy()
  expected = stats.geometric_mean(one.astype(float))
  for end, value in zip(('', '_low', '_high'), expected[:3], strict=True):
    np.testing.assert_allclose(logged[1][f'size{end}'], value, 1e-12)
  assert logged[1]['size_theory'] > 0
  cost = rows[(rows.scale == 2) & (rows.layer == 0)].mean_loss.astype(float)
  np.testing.assert_allclose(logged[3]['mean_loss'], cost.mean(), 1e-12)
  assert 'mean_loss' not in logged[2] and 'sample' not in logged[3]
  # Once.
  assert _main(tmp_path, *flags) == 0
  assert len(tracker.runs) == 2
  assert 'exported before' in capsys.readouterr().out


def test_a_tracker_that_fails_midway_is_finished_and_the_report_stays(
  tmp_path, tracker, capsys
):
  """And the next time all is exported."""
  flags = '--scale=1,2', '--tracker=wandb'
  tracker.broken = 2
  assert _main(tmp_path, *flags) == 0
  assert tracker.finished == [1]
  told = ' '.join(capsys.readouterr().out.split())
  assert 'tracked failed after 0 of 2 runs in the project initlab' in told
  assert 'the disk is full; the same command tries again' in told
  assert 'scale 2.0' in told
  tracker.broken = None
  assert _main(tmp_path, *flags) == 0
  assert tracker.finished == [1, 0, 0]
  assert 'tracked 2 runs' in ' '.join(capsys.readouterr().out.split())


def _claim(name, holds):
  check = lambda outcomes: Finding(holds, 'seen')
  return Claim(name, f'{name}.', 'nobody', check)


COLLECTION = Collection(
  name='pair',
  program=('-m', 'pair'),
  doc='Two chapters.',
  chapters=(
    Chapter(
      tiny.EXPERIMENT,
      'One',
      ('--scale=1,2',),
      claims=(_claim('yes', True), _claim('no', False), _claim('open', None)),
    ),
    Chapter(tiny.EXPERIMENT, 'Two'),
  ),
)


def test_a_chapter_is_a_run_of_its_claims(tmp_path, tracker, capsys):
  collect = {'start': launch.collect, 'program': COLLECTION}
  assert _main(tmp_path, '--tracker=wandb', '--project=mine', **collect) == 0
  assert '  2 runs in the project mine' in capsys.readouterr().out
  assert tracker.finished == [0, 0]
  (project, name, group, config, logged), two = tracker.runs
  assert (project, name, group) == ('mine', 'pair: One', 'pair')
  assert two[1] == 'pair: Two'
  assert logged[0] == {
    'claims/pass': 1,
    'claims/fail': 1,
    'claims/not tested': 1,
    'claim/yes': 1,
    'claim/no': 0,
  }
  assert config['settings'] == 2 and 'no, fail: seen' in config['verdict']
  assert pd.read_parquet(config['rows']).scale.max() == 2
  assert pathlib.Path(config['page']).name == 'report.html'
  assert _main(tmp_path, '--tracker=wandb', '--project=mine', **collect) == 0
  assert len(tracker.runs) == 2
  assert _main(tmp_path, '--tracker=wndb', **collect) == 1
  assert "did you mean 'wandb'" in capsys.readouterr().err


def test_a_training_is_curves():
  """Of 6 seeds; the one that is lost at the last step is left out there."""
  error = np.linspace(1, 0.1, 18).reshape(6, 3)
  error[2, 2] = np.nan
  layers = np.exp(np.arange(36.0).reshape(6, 3, 2) / 36)
  outcome = Outcome(
    config=tiny.Config(),
    label='a',
    seeds=np.arange(6),
    measured={'error': error, 'std': layers, 'final': error[:, 1]},
    predicted={},
    steps=(0, 10, 15),
    axes={'error': ('step',), 'std': ('step', 'layer'), 'final': ()},
  )
  logged = dict(tracking.logged(outcome))
  assert list(logged) == [0, 10, 15]
  assert logged[10]['error'] == pytest.approx(error[:, 1].mean())
  assert logged[15]['error'] == pytest.approx(np.nanmean(error[:, 2]))
  assert logged[10]['std/layer_2'] == pytest.approx(layers[:, 1, 1].mean())
  assert logged[10]['std/layer_2_low'] < logged[10]['std/layer_2']
  assert logged[15]['final'] == pytest.approx(error[:, 1].mean())
  assert 'final' not in logged[10]


@pytest.mark.parametrize(
  ('flags', 'program'),
  [
    ((), {}),
    (('--launcher=local',), {}),
    ((), {'start': launch.collect, 'program': COLLECTION}),
  ],
)
def test_without_the_package_one_line_says_so(
  flags, program, tmp_path, capsys, monkeypatch
):
  """Before a seed is computed, by workers and of a collection, too."""
  monkeypatch.setitem(sys.modules, 'trackio', None)
  assert _main(tmp_path, '--tracker=trackio', *flags, **program) == 1
  error = capsys.readouterr().err
  assert 'pip install initlab[trackio]' in error and error.count('\n') == 1
  assert not list(tmp_path.iterdir())
