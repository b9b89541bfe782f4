"""Every program is found, documented, and run small, whole."""

import ast
import dataclasses
import functools
import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import jax
import numpy as np
import pytest

from experiments.lectures import symmetry
from initlab import base, datasets, keys, launch, training
from initlab.engine import sizing
from initlab.experiment import PerStep, geometric, written
from initlab.launch.flags import define_flags, read_options, read_settings
from initlab.report.plots import style
from tests.helpers import programs

_ROOT = pathlib.Path(__file__).parents[2]
# Folder of experiments -> the most lines that a file of it has.
_LINES = {'.': 200, 'lectures': 200, 'glorot2010': 300, 'atlas': 200}
_MODULES = programs.modules()
_NAMES = tuple(n for n, m in _MODULES.items() if hasattr(m, 'EXPERIMENT'))
_COLLECTIONS = tuple(n for n, m in _MODULES.items() if hasattr(m, 'COLLECTION'))
# Run whole in every run of the tests: one of each kind of program and picture.
# The others are lowered by `lowering_test`, and run by tests of their own or
# with --slow; `variance` and `learning` by those of engine and launcher.
_WHOLE = (
  'lectures.descent',
  'glorot2010.surface',
)
_HEADINGS = ('Question', 'Paper', 'Run', 'Takes', 'Expect')


def _experiment(name):
  return _MODULES[name].EXPERIMENT


def test_every_module_is_a_program():
  assert set(_NAMES) | set(_COLLECTIONS) == set(_MODULES)
  assert 'variance' in _NAMES


def test_an_import_starts_no_device():
  """Their number can still be set, by which a program uses all cores."""
  code = (
    'import jax; from tests.helpers import programs; programs.modules(); '
    "jax.config.update('jax_num_cpu_devices', 3); "
    'assert len(jax.devices()) == 3'
  )
  environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
  run = [sys.executable, '-c', code]
  subprocess.run(run, check=True, cwd=_ROOT, env=environment)


@pytest.mark.parametrize('name', _NAMES)
def test_the_docstring_says_question_paper_run_takes_expect(name):
  experiment = _experiment(name)
  assert re.findall(r'^(\w+):$', experiment.doc, re.M) == list(_HEADINGS)
  assert f'python -m experiments.{name}' in experiment.doc


@pytest.mark.parametrize('name', _NAMES)
def test_the_config_is_knobs_with_help(name):
  experiment = _experiment(name)
  assert experiment.name == name.rpartition('.')[2]
  assert experiment.program == ('-m', f'experiments.{name}')
  assert experiment.config.__dataclass_params__.frozen
  for field in dataclasses.fields(experiment.config):
    assert len(field.metadata['help']) > 10
    choices = field.metadata['choices']
    assert not choices or field.default in choices


@pytest.mark.parametrize('name', _NAMES)
def test_the_command_in_the_docstring_is_accepted(name):
  for line in re.findall(r'^  python -m \S+(.*)$', _experiment(name).doc, re.M):
    argv = ['_', *line.replace('--help', '').split()]
    experiment = programs.chosen(name, argv)
    values = define_flags(experiment)
    values(argv)
    assert read_settings(experiment, values)
    read_options(values)


@pytest.mark.parametrize('name', _NAMES)
def test_what_is_drawn_and_compared_is_measured(name):
  experiment = _experiment(name)
  shown = {*(panel.field for panel in experiment.panels), *experiment.compared}
  assert shown <= set(experiment.result._fields)


@pytest.mark.parametrize(
  'name',
  [
    name if name in _WHOLE else pytest.param(name, marks=pytest.mark.slow)
    for name in _NAMES
  ],
)
def test_runs_small_as_a_whole_program(name, tmp_path, capsys, monkeypatch):
  # The same figures are written as SVG; to write them twice takes long.
  monkeypatch.setattr(style, 'png', lambda figure: b'')
  experiment = _experiment(name)
  flags = [
    f'--{field.name}={written(getattr(experiment.smoke, field.name))}'
    for field in dataclasses.fields(experiment.smoke)
  ]
  argv = [name, *flags, '--seeds=0:3', f'--out={tmp_path}']
  with pytest.raises(SystemExit) as exit_:
    launch.main(experiment, [*argv, '--compile_cache=none'])
  captured = capsys.readouterr()
  assert exit_.value.code == 0, captured.err
  assert '3 seeds' in captured.out
  (page,) = tmp_path.rglob('report.html')
  page = page.read_text()
  assert page.count('<svg') == len(experiment.panels)
  drawn = {panel.field for panel in experiment.panels}
  averaged = geometric(experiment.result) & drawn
  assert ('geometric mean of 3 seeds' in page) == bool(averaged)


def _shapes(experiment, config, data_dir):
  """The abstract result of one seed, or that of a run if it is not compiled."""
  data = experiment.load(config, data_dir)
  run = functools.partial(training.run, experiment, config)
  with sizing.arithmetic(experiment):
    if experiment.compiled:
      return jax.eval_shape(run, keys.root(0), data)
    return run(keys.root(0), data)


def mine():
  """A data set of anybody's."""
  x = np.arange(24.0).reshape(12, 2)
  return dict.fromkeys(datasets.SPLITS, (x, np.arange(12) % 2))


def _fields(name):
  return {each.name for each in dataclasses.fields(_experiment(name).config)}


def _with_data():
  """The programs with a data set; one learns from endless ones only."""
  names = [n for n in _NAMES if 'dataset' in _fields(n)]
  return [name for name in names if name != 'glorot2010.svm']


@pytest.mark.parametrize('name', _with_data())
def test_a_data_set_of_ones_own_is_as_good(name):
  """It is loaded, the network is drawn for it, and the program is traced."""
  experiment = _experiment(name)
  dotted = f'{__name__}.{mine.__name__}'
  config = dataclasses.replace(experiment.smoke, dataset=dotted)
  assert isinstance(_shapes(experiment, config, ''), experiment.result)


@pytest.mark.slow
@pytest.mark.parametrize('name', _NAMES)
def test_run_is_pure_and_written_for_one_seed(name, tmp_path):
  """The abstract result has the fields of Result and no seed axis."""
  experiment = _experiment(name)
  shapes = _shapes(experiment, experiment.smoke, str(tmp_path))
  assert isinstance(shapes, experiment.result)
  for field, hint in experiment.result.__annotations__.items():
    axes = hint.__metadata__[0]
    assert len(getattr(shapes, field).shape) == len(axes), field


def _choices():
  """Each program with each choice of each knob, but for the default."""
  return [
    (name, field.name, choice)
    for name in _NAMES
    for field in dataclasses.fields(_experiment(name).config)
    for choice in field.metadata['choices']
    if choice != field.default
  ]


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'knob', 'choice'), _choices())
def test_every_choice_of_a_knob_is_taken(name, knob, choice, tmp_path):
  """It is refused under a flag, or the program is traced with it."""
  experiment = _experiment(name)
  try:
    config = dataclasses.replace(experiment.smoke, **{knob: choice})
    _shapes(experiment, config, str(tmp_path))
    experiment.predict(config, experiment.load(config, str(tmp_path)))
  except base.UserError as error:
    assert str(error).startswith('--') or 'fetch_data' in str(error)


@pytest.mark.parametrize('name', ['lectures.saddle', 'atlas.rectifier_depth'])
def test_a_page_about_nats_takes_cross_entropy_only(name):
  with pytest.raises(base.UserError, match='--loss=squared_error: unknown'):
    _experiment(name).config(loss='squared_error')


@pytest.mark.parametrize('name', _NAMES)
def test_claims_and_panels_have_names_of_their_own(name):
  experiment = _experiment(name)
  for each in (experiment.claims, experiment.panels):
    assert len({one.name for one in each}) == len(each)


@pytest.mark.parametrize('name', _COLLECTIONS)
def test_chapters_are_accepted(name, tmp_path):
  """Every chapter's flags are read, its data and its pictures are there.

  At either size; data that are downloaded are not there.
  """
  program = _MODULES[name].COLLECTION
  titles = [chapter.title for chapter in program.chapters]
  assert len(set(titles)) == len(titles)
  for chapter in program.chapters:
    experiment = chapter.experiment
    panels = {panel.name for panel in experiment.panels}
    named = {each for each in chapter.panels if isinstance(each, str)}
    assert named <= panels, chapter.title
    for flags in ((), chapter.full):
      values = define_flags(experiment)
      values(['_', *chapter.flags, *flags])
      first, *_, last = 2 * read_settings(experiment, values)
      read_options(values)
      for config in (first, last):
        try:
          experiment.load(config, str(tmp_path))
        except base.UserError as error:
          assert 'fetch_data' in str(error), chapter.title


@pytest.mark.slow
@pytest.mark.parametrize(
  ('title', 'chapter'),
  [
    (f'{name}, {chapter.title}', chapter)
    for name in _COLLECTIONS
    for chapter in _MODULES[name].COLLECTION.chapters
    if chapter.full
  ],
)
def test_chapters_are_traced_at_full_size(title, chapter, tmp_path):
  """In the first setting of the paper's size and the last."""
  del title
  experiment = chapter.experiment
  values = define_flags(experiment)
  values(['_', *chapter.flags, *chapter.full])
  settings = read_settings(experiment, values)
  for config in (settings[0], settings[-1]):
    if experiment.compiled:
      try:
        _shapes(experiment, config, str(tmp_path))
      except base.UserError as error:
        assert 'fetch_data' in str(error)


@pytest.mark.parametrize(('folder', 'most'), _LINES.items())
def test_experiments_are_short(folder, most):
  """One page each; those of the paper have more claims and figures."""
  lengths = {
    path.name: len(path.read_text().splitlines())
    for path in (_ROOT / 'experiments' / folder).glob('*.py')
  }
  assert lengths
  assert {k: n for k, n in lengths.items() if n > most} == {}


def _by_position(source):
  """Lines that build a Result without the names of its fields."""
  return [
    node.lineno
    for node in ast.walk(ast.parse(source))
    if isinstance(node, ast.Call)
    and ast.unparse(node.func).rpartition('.')[2] == 'Result'
    and (node.args or not node.keywords)
  ]


@pytest.mark.parametrize(
  ('source', 'lines'),
  [
    ('def run():\n  return Result(*found)', [2]),
    ('Result(*(f(x) for x in found))', [1]),
    ('page.Result(loss, error=error)', [1]),
    ('Result(**found)\nResult(loss=loss)', []),
  ],
)
def test_a_result_by_position_is_found(source, lines):
  assert _by_position(source) == lines


def test_no_experiment_builds_a_result_by_position():
  """Two fields of one shape could be exchanged, and nobody would notice."""
  folders = _ROOT / 'experiments', _ROOT / 'initlab' / 'instruments'
  paths = [path for folder in folders for path in folder.rglob('*.py')]
  assert len(paths) > len(_NAMES)
  found = {path.name: _by_position(path.read_text()) for path in paths}
  assert {name: lines for name, lines in found.items() if lines} == {}


class _Recorded(NamedTuple):
  loss: PerStep
  error: PerStep


@pytest.mark.parametrize(
  ('names', 'message'),
  [
    (('loss', 'eror'), "unexpected keyword argument 'eror'"),
    (('loss',), "missing 1 required positional argument: 'error'"),
  ],
)
def test_a_record_with_a_misnamed_field_fails(names, message):
  """Of a training from its first step to its last, when it is traced."""
  config = symmetry.SMOKE

  def start(names):
    record = lambda config, network, data, kept: dict.fromkeys(names, 0.0)
    pieces = training.of_networks(_Recorded, record)
    page = symmetry.EXPERIMENT._replace(training=pieces)
    run = functools.partial(training.run, page, config)
    return jax.eval_shape(run, keys.root(0), symmetry.load(config, ''))

  assert start(('error', 'loss'))._fields[:2] == ('loss', 'error')
  with pytest.raises(TypeError, match=message):
    start(names)
