"""Every program is found, documented, and run small, whole."""

import ast
import dataclasses
import functools
import pathlib
import re

import jax
import pytest

import experiments
from initlab import keys, launch
from initlab.engine import study
from initlab.experiment import geometric, written
from initlab.launch.flags import define_flags, read_options, read_settings
from initlab.report.plots import style
from tests.helpers import programs

_MODULES = programs.modules()
_NAMES = tuple(n for n, m in _MODULES.items() if hasattr(m, 'EXPERIMENT'))
_COLLECTIONS = tuple(n for n, m in _MODULES.items() if hasattr(m, 'COLLECTION'))
# Run whole in every run of the tests: one of each kind of program and picture.
# The others are traced here, and run by tests of their own or with --slow.
_WHOLE = (
  'variance',
  'learning',
  'lectures.descent',
  'lectures.optimizers',
  'glorot2010.surface',
)
_HEADINGS = ('Question', 'Paper', 'Run', 'Takes', 'Expect')


def _experiment(name):
  return _MODULES[name].EXPERIMENT


def test_every_module_is_a_program():
  assert set(_NAMES) | set(_COLLECTIONS) == set(_MODULES)
  assert 'variance' in _NAMES


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
  experiment = _experiment(name)
  for line in re.findall(r'^  python -m \S+(.*)$', experiment.doc, re.M):
    values = define_flags(experiment)
    values(['_', *line.split()])
    assert read_settings(experiment, values)
    read_options(values, line)


@pytest.mark.parametrize('name', _NAMES)
def test_every_measure_has_its_panel_or_its_column(name):
  experiment = _experiment(name)
  fields = experiment.result._fields
  assert {panel.field for panel in experiment.panels} <= set(fields)


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
  assert len(page) > 10_000
  drawn = {panel.field for panel in experiment.panels}
  averaged = geometric(experiment.result) & drawn
  assert ('geometric mean of 3 seeds' in page) == bool(averaged)


@pytest.mark.parametrize('name', _NAMES)
def test_run_is_pure_and_written_for_one_seed(name, tmp_path):
  """The abstract result has the fields of Result and no seed axis."""
  experiment = _experiment(name)
  data = experiment.load(experiment.smoke, str(tmp_path))
  run = functools.partial(experiment.run, experiment.smoke)
  with study.arithmetic(experiment):
    evaluate = jax.eval_shape if experiment.compiled else _called
    shapes = evaluate(run, keys.root(0), data)
  assert isinstance(shapes, experiment.result)
  for field, hint in experiment.result.__annotations__.items():
    axes = hint.__metadata__[0]
    assert len(getattr(shapes, field).shape) == len(axes), field


def _called(run, *args):
  return run(*args)


@pytest.mark.parametrize('name', _NAMES)
def test_claims_and_panels_have_names_of_their_own(name):
  experiment = _experiment(name)
  for each in (experiment.claims, experiment.panels):
    assert len({one.name for one in each}) == len(each)


@pytest.mark.parametrize('name', _COLLECTIONS)
def test_chapters_are_accepted(name):
  """Every chapter's flags are read, and its pictures are there."""
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
      assert read_settings(experiment, values)
      read_options(values, '')


def test_experiments_are_short():
  """A page of code; docstrings, which state criteria, are as long as need be.

  The longest had 302 lines of code in 339 before its criteria were stated.
  """
  for path in pathlib.Path(experiments.__path__[0]).glob('[a-z]*.py'):
    tree = ast.parse(path.read_text())
    lines = len(path.read_text().splitlines())
    for node in ast.walk(tree):
      kinds = ast.Module, ast.ClassDef, ast.FunctionDef
      if isinstance(node, kinds) and ast.get_docstring(node):
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    assert lines <= 302, f'{path.name} has {lines} lines of code'
