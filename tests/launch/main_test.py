"""The command line: every mistake gets one clear line, and nothing is left."""

import dataclasses
import os
import re
import signal
import time

import numpy as np
import pandas as pd
import pytest

from initlab import launch
from initlab.engine import study
from initlab.experiment import config, knob, written
from initlab.instruments import variance
from initlab.launch import machine, parsing
from initlab.launch.flags import define_flags, read_settings
from initlab.report import publish, replay
from tests.helpers import few, programs, tiny

_TINY = ('--dataset=xor', '--examples=4', '--widths=6x2')


@pytest.fixture
def without_pictures(monkeypatch):
  """Programs that leave their rows and print, but draw nothing."""
  monkeypatch.setattr(publish, 'write', lambda *args: None)


def _main(tmp_path, *argv):
  """Exit status of the program in this process."""
  out = f'--out={tmp_path / "results"}'
  cache = f'--compile_cache={tmp_path.parent / "compiled"}'
  with pytest.raises(SystemExit) as exit_:
    launch.main(few.EXPERIMENT, ['variance', *_TINY, cache, out, *argv])
  return exit_.value.code


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--init=glorto', "did you mean 'glorot'"),
    ('--init=', 'empty value'),
    ('--init=glorot,,he', 'empty value'),
    ('--activation=swish', 'One of: identity, sigmoid'),
    ('--widths=0', 'at least 1'),
    ('--widths=-5', 'widths look like'),
    ('--widths=10x', 'widths look like'),
    ('--depth=1001', 'from 0 to 1000'),
    ('--depth=two', 'an integer'),
    ('--bias=nan', 'finite number'),
    ('--gain=much', "'activation' or 'critical'"),
    ('--gain=-1', 'gain'),
    ('--examples=0', 'at least 1'),
    ('--dataset=imagenet', 'One of: shapeset'),
    ('--dataset=mnist', 'fetch_data mnist'),
    ('--loss=hinge', 'One of: cross_entropy'),
    ('--distribution=cauchy', 'One of: default'),
    ('--seeds=', 'empty value'),
    ('--seeds=3:3', 'no seed in this range'),
    ('--seeds=-1', 'seeds and ranges'),
    ('--seeds=4294967296', 'under 2**32'),
    ('--root_seed=4294967296', 'from 0 to 4294967295'),
    ('--root_seed=x', 'an integer'),
    ('--lanes=0', 'whole number from 1, or auto'),
    ('--devices=99', 'this machine has'),
    ('--matmul_precision=exact', 'One of: highest, high, default'),
    ('--num_shards=0', 'from 1 to 65536'),
    ('--num_shards=65537', 'from 1 to 65536'),
    ('--shard_index=1', 'from 0 to 0'),
    ('--shard_index=-1', 'whole number from 0, or none'),
    ('--process_id=0 --distributed', 'must be given together'),
    ('--distributed --num_shards=2', 'leave out'),
    ('--launcher=pbs', 'One of: none, slurm, local, ray'),
    ('--launcher=ray --shard_index=0', 'leave out'),
    ('--slurm_gpus=many', 'an integer'),
    ('--sees=3', 'Did you mean'),
    ('--flagfile=absent.txt', "--flagfile: No such file or directory: 'absent"),
    ('stray', 'is not a flag'),
  ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
  tmp_path, capsys, monkeypatch, flag, told
):
  monkeypatch.setenv('INITLAB_DATA_DIR', str(tmp_path / 'no data'))
  assert _main(tmp_path, *flag.split()) == 1
  out, err = capsys.readouterr()
  assert out == ''
  assert err.count('\n') == 1
  assert err.startswith('variance: error: ')
  assert told in err
  assert not list(tmp_path.rglob('*.*'))


def test_an_unusable_output_folder_is_one_line(tmp_path, capsys):
  (tmp_path / 'file').write_text('in the way')
  assert _main(tmp_path, f'--out={tmp_path / "file"}') == 1
  assert capsys.readouterr().err.count('\n') == 1


def test_distribution_without_a_choice(tmp_path, capsys):
  assert _main(tmp_path, '--init=orthogonal', '--distribution=normal') == 1
  assert '--distribution=normal' in capsys.readouterr().err


def test_help_names_every_flag_its_default_and_its_choices(capsys):
  with pytest.raises(SystemExit) as exit_:
    launch.main(variance.EXPERIMENT, ['variance', '--help'])
  assert exit_.value.code == 0
  text = capsys.readouterr().out
  for field in dataclasses.fields(variance.Config):
    assert f'--{field.name}\n' in text
    assert written(field.default) in text
  for word in ('--seeds', 'glorot_truncated_normal', 'softsign', 'Question:'):
    assert word in text
  assert max(map(len, text.splitlines())) <= 120


def test_settings_are_the_product_of_the_lists():
  values = define_flags(variance.EXPERIMENT)
  values(['_', '--init=glorot,he', '--widths=5,6x2,7-8', '--bias=0,0.0,1'])
  settings = read_settings(variance.EXPERIMENT, values)
  assert len(settings) == 2 * 3 * 2
  assert settings[0] == variance.Config(init='glorot', widths=(5,), bias=0.0)
  assert {config.widths for config in settings} == {(5,), (6, 6), (7, 8)}


def test_no_flags_are_the_defaults():
  values = define_flags(variance.EXPERIMENT)
  values(['_'])
  settings = read_settings(variance.EXPERIMENT, values)
  assert settings == [variance.Config()]


@config
class _Switched:
  on: bool = knob(True, 'a switch')


@pytest.mark.parametrize(
  ('flags', 'on'),
  [
    ((), [True]),
    (('--on',), [True]),
    (('--noon',), [False]),
    (('--on=False',), [False]),
    (('--on=false,true',), [False, True]),
    (('--on=true, true',), [True]),
  ],
)
def test_a_switch_of_an_experiment_is_swept_as_every_knob(flags, on):
  experiment = tiny.EXPERIMENT._replace(config=_Switched)
  values = define_flags(experiment)
  values(['_', *flags])
  assert read_settings(experiment, values) == [_Switched(each) for each in on]


def test_a_switch_has_a_default_of_its_experiment(capsys):
  experiment = tiny.EXPERIMENT._replace(
    config=_Switched, defaults={'on': 'true,false'}
  )
  values = define_flags(experiment)
  values(['_'])
  assert len(read_settings(experiment, values)) == 2
  with pytest.raises(SystemExit):
    launch.main(experiment, ['tiny', '--help'])
  assert 'a switch; default true,false' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--on=maybe', '--on=maybe: it takes true or false'),
    ('--on=true,', '--on: there is an empty value in the list'),
    ('--noon=true', '--noon=true does not take an argument'),
    ('--json=true,false', '--json=true,false: it takes true or false'),
  ],
)
def test_a_switch_takes_true_or_false(flag, told, tmp_path, capsys):
  experiment = tiny.EXPERIMENT._replace(config=_Switched)
  with pytest.raises(SystemExit) as exit_:
    launch.main(experiment, ['tiny', f'--out={tmp_path}', flag])
  assert exit_.value.code == 1
  error = capsys.readouterr().err
  assert told in error and error.count('\n') == 1


@pytest.mark.parametrize(
  'text', ['0:32', '17', '0:4,17', '3,5,9', '0,4294967295']
)
def test_seeds_are_written_as_they_are_read(text):
  seeds = parsing.seeds(text)
  np.testing.assert_array_equal(
    parsing.seeds(replay.seeds_written(seeds)), seeds
  )
  assert seeds.dtype == np.uint32


def test_a_second_run_only_prints(tmp_path, capsys, monkeypatch):
  # A worker of the tests is not started from a file.
  monkeypatch.setattr(machine, 'from_files', lambda: True)
  assert _main(tmp_path, '--seeds=0:3') == 0
  first = capsys.readouterr()
  files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')}
  assert _main(tmp_path, '--seeds=0:3') == 0
  assert capsys.readouterr().out == first.out
  assert first.err == ''
  assert files == {
    path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')
  }
  pages = list((tmp_path / 'results' / 'reports').rglob('report.html'))
  assert len(pages) == 1
  assert {path.suffix for path in pages[0].parent.iterdir()} == {
    '.html',
    '.csv',
    '.png',
    '.svg',
    '.tex',
    '.txt',
  }


@pytest.mark.usefixtures('without_pictures')
def test_more_seeds_compute_only_what_is_new(tmp_path, capsys, monkeypatch):
  assert _main(tmp_path, '--seeds=0:3') == 0
  rows = pd.read_parquet(tmp_path / 'results' / 'variance')
  computed = []
  fill = study._fill
  monkeypatch.setattr(
    study,
    '_fill',
    lambda *args: (computed.extend(args[2].tolist()), fill(*args)),
  )
  assert _main(tmp_path, '--seeds=1:5,9') == 0
  assert computed == [3, 4, 9]
  more = pd.read_parquet(tmp_path / 'results' / 'variance')
  assert sorted(more.seed.unique()) == [0, 1, 2, 3, 4, 9]
  old = more[more.seed < 3].reset_index(drop=True)
  pd.testing.assert_frame_equal(old, rows, check_categorical=False)
  assert '5 seeds' in capsys.readouterr().out


def test_a_flagfile_that_is_a_pipe_chooses_the_experiment_and_its_flags(capsys):
  reading, writing = os.pipe()
  os.write(writing, b'--scale=2,3\n--dry_run\n--compile_cache=none\n')
  os.close(writing)
  other = tiny.EXPERIMENT._replace(name='other')
  with pytest.raises(SystemExit, match='0'):
    argv = ['tiny', f'--flagfile=/dev/fd/{reading}']
    launch.main(tiny.EXPERIMENT, argv, instead={'scale': other})
  os.close(reading)
  out = capsys.readouterr().out
  assert out.startswith('other: a plan') and 'scale 3.0' in out


@pytest.mark.usefixtures('without_pictures')
def test_one_seed_is_told_that_it_has_no_interval(tmp_path, capsys):
  assert _main(tmp_path, '--seeds=17') == 0
  out = capsys.readouterr().out
  assert 'a single seed has no interval; --seeds=0:5 has one\n' in out


@pytest.mark.usefixtures('without_pictures')
def test_a_broken_shard_is_named_and_computed_again(tmp_path, capsys):
  assert _main(tmp_path, '--seeds=0:3') == 0
  first = capsys.readouterr().out
  (shard,) = (tmp_path / 'results').rglob('*.parquet')
  shard.write_bytes(shard.read_bytes()[:-100])
  assert _main(tmp_path, '--seeds=0:3') == 0
  out, err = capsys.readouterr()
  assert shard.name in err
  assert out == first


@pytest.mark.slow
def test_ctrl_c_is_one_line_and_leaves_what_was_finished(tmp_path):
  """In a process of its own, interrupted after the first rows."""
  out = tmp_path / 'results'
  flags = *_TINY, '--seeds=0:200000', '--compile_cache=none', f'--out={out}'
  process = programs.start('variance', *flags)
  waited = time.monotonic() + 120
  while not list(out.rglob('seeds-*')) and time.monotonic() < waited:
    time.sleep(0.05)
  process.send_signal(signal.SIGINT)
  stdout, stderr = programs.finish(process, 130)
  assert stdout == ''
  assert re.fullmatch(r'\s*variance: interrupted; .*\n', stderr)
  rows = pd.read_parquet(out / 'variance')
  assert rows.seed.nunique() >= 8
  assert not list(out.rglob('.*'))
