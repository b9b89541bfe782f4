"""A tracker gets a run a setting: means and intervals over seeds, and links."""

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest

from initlab import launch, stats
from initlab.experiment import Outcome
from initlab.report import publish, tracking
from tests.helpers import tiny


class Recorder(types.ModuleType):
  """The part of wandb's API that is used; it greets on stdout, as they do."""

  def __init__(self):
    super().__init__('wandb')
    self.runs = []

  def init(self, project, name, group, config):
    print('hello')
    json.dumps(config, allow_nan=False)
    self.runs.append((project, name, group, config, {}))
    return self

  def log(self, metrics, step):
    logged = self.runs[-1][-1]
    assert step not in logged and step >= max(logged, default=0)
    logged[step] = metrics

  def finish(self):
    print('goodbye')


@pytest.fixture
def tracker(monkeypatch):
  recorder = Recorder()
  monkeypatch.setitem(sys.modules, 'wandb', recorder)
  monkeypatch.setattr(publish, 'write', lambda *args: None)
  return recorder


def _main(tmp_path, *argv):
  places = f'--out={tmp_path}', '--compile_cache=none'
  with pytest.raises(SystemExit) as exit_:
    launch.main(tiny.EXPERIMENT, ['tiny', '--seeds=0:5', *places, *argv])
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
  assert 'cost' in config['verdict'] and 'flags.txt' in config['replay']
  # The step is the layer; of the network as a whole, the last.
  assert sorted(logged) == [1, 2, 3]
  one = rows[(rows.scale == 2) & (rows.layer == 1)]['size'].to_numpy()
  expected = stats.geometric_mean(one.astype(float))
  for end, value in zip(('', '_low', '_high'), expected[:3], strict=True):
    np.testing.assert_allclose(logged[1][f'size{end}'], value, 1e-12)
  assert logged[1]['size_theory'] > 0
  cost = rows[(rows.scale == 2) & (rows.layer == 0)].cost.astype(float)
  np.testing.assert_allclose(logged[3]['cost'], cost.mean(), 1e-12)
  assert 'cost' not in logged[2] and 'sample' not in logged[3]
  # Once.
  assert _main(tmp_path, *flags) == 0
  assert len(tracker.runs) == 2
  assert 'exported before' in capsys.readouterr().out


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


@pytest.mark.parametrize('workers', [(), ('--launcher=local',)])
def test_without_the_package_one_line_says_so(
  workers, tmp_path, capsys, monkeypatch
):
  """Before a seed is computed, by workers, too."""
  monkeypatch.setitem(sys.modules, 'trackio', None)
  assert _main(tmp_path, '--tracker=trackio', *workers) == 1
  error = capsys.readouterr().err
  assert 'pip install initlab[trackio]' in error and error.count('\n') == 1
  assert not list(tmp_path.iterdir())
