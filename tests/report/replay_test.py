"""A flagfile reads back as the run that wrote it."""

import pathlib
import shlex
import types

import jax
import numpy as np

from initlab.experiment import Outcome
from initlab.instruments import learning
from initlab.launch.flags import define_flags, read_options, read_settings
from initlab.launch.parsing import seeds
from initlab.report import replay

_SWEEP = [
  learning.Config(
    init=init, widths=(7, 7, 5), gain=gain, learning_rate=1e-7 / 3
  )
  for init in ('glorot', 'he_normal')
  for gain in ('activation', 0.1 + 0.2)
]


def _task(config, lanes):
  bits = {'lanes': lanes, 'jax': '1', 'jaxlib': '2', 'device': 'cpu'}
  folder = types.SimpleNamespace(identity={'bits': bits})
  return types.SimpleNamespace(config=config, label=config.init, folder=folder)


def _options(data_dir):
  values = define_flags(learning.EXPERIMENT)
  values(['_', '--seeds=0:3,9', '--root_seed=7', f'--data_dir={data_dir}'])
  return read_options(values).of_study('')


def _read(path, *flags):
  values = define_flags(learning.EXPERIMENT)
  values(['_', f'--flagfile={path}', *flags])
  return read_settings(learning.EXPERIMENT, values), read_options(values)


def test_a_flagfile_is_the_run_that_wrote_it(tmp_path):
  tasks = [_task(config, 4) for config in _SWEEP]
  asked = _options(tmp_path)
  path = tmp_path / replay.NAME
  path.write_text(replay.flagfile(learning.EXPERIMENT, tasks, asked))
  settings, options = _read(path)
  assert settings == _SWEEP
  assert options.lanes == 4 and options.data_dir == str(tmp_path)
  np.testing.assert_array_equal(options.seeds, asked.seeds)
  assert options.root_seed == 7 and options.matmul_precision == 'highest'
  # Every knob is named, so no default is left to change.
  text = path.read_text()
  assert all(f'--{name}=' in text for name in vars(_SWEEP[0]))
  _, later = _read(path, '--seeds=9')
  assert later.seeds.tolist() == [9]


def test_a_function_without_a_path_has_no_flagfile():
  assert replay.nameable(_SWEEP)
  mine = learning.Config(init=jax.nn.initializers.he_normal())
  assert not replay.nameable([*_SWEEP, mine])


def test_a_replay_of_a_seed_is_of_its_setting_alone(tmp_path):
  """Of settings with other lanes the command names them, not the file."""
  tasks = [_task(_SWEEP[0], 4), _task(_SWEEP[2], 8)]
  asked = _options('auto')._replace(seeds=seeds('2,5,7'))
  path = tmp_path / replay.NAME
  path.write_text(replay.flagfile(learning.EXPERIMENT, tasks, asked))
  assert 'data_dir' not in path.read_text()
  errors = np.array([0.3, 0.1, 0.2])
  outcomes = [
    Outcome(each.config, each.label, asked.seeds, {'final_error': errors}, {})
    for each in tasks
  ]
  found = replay.commands(
    learning.EXPERIMENT, tasks, outcomes, asked, str(path)
  )
  _, all_lanes = _read(path)
  assert all_lanes.lanes == 0  # auto
  python, *program, _, _, _, _, out = shlex.split(
    found['replay best of he_normal']
  )
  assert [python, *program] == ['python', *learning.EXPERIMENT.program]
  assert out == '--out=replay'
  flags = shlex.split(found['replay best of he_normal'])[4:]
  settings, options = _read(path, *flags)
  assert settings == [_SWEEP[2]]
  assert options.lanes == 8 and options.seeds.tolist() == [5]
  assert options.out == pathlib.Path('replay')
