"""Every program is found, documented, and run small, whole."""

import ast
import dataclasses
import importlib
import pathlib
import pkgutil
import re

import jax
import pytest

import experiments
from initlab import base, keys, launch

_NAMES = tuple(m.name for m in pkgutil.iter_modules(experiments.__path__))
_HEADINGS = ('Question', 'Paper', 'Run', 'Takes', 'Expect')


def _experiment(name):
  return importlib.import_module(f'experiments.{name}').EXPERIMENT


def test_there_are_programs():
  assert 'variance' in _NAMES


@pytest.mark.parametrize('name', _NAMES)
def test_the_docstring_says_question_paper_run_takes_expect(name):
  experiment = _experiment(name)
  assert re.findall(r'^(\w+):$', experiment.doc, re.M) == list(_HEADINGS)
  assert f'python -m experiments.{name}' in experiment.doc


@pytest.mark.parametrize('name', _NAMES)
def test_the_config_is_knobs_with_help(name):
  experiment = _experiment(name)
  assert experiment.name == name
  assert experiment.config.__dataclass_params__.frozen
  for field in dataclasses.fields(experiment.config):
    assert len(field.metadata['help']) > 10
    choices = field.metadata['choices']
    assert not choices or field.default in choices


@pytest.mark.parametrize('name', _NAMES)
def test_the_command_in_the_docstring_is_accepted(name):
  experiment = _experiment(name)
  for line in re.findall(r'^  python -m \S+(.*)$', experiment.doc, re.M):
    values = launch.define_flags(experiment)
    values(['_', *line.split()])
    assert launch.read_settings(experiment, values)
    launch.read_options(values, line)


@pytest.mark.parametrize('name', _NAMES)
def test_every_measure_has_its_panel_or_its_column(name):
  experiment = _experiment(name)
  fields = experiment.result._fields
  assert {panel.field for panel in experiment.panels} <= set(fields)


@pytest.mark.parametrize('name', _NAMES)
def test_runs_small_as_a_whole_program(name, tmp_path, capsys):
  experiment = _experiment(name)
  flags = [
    f'--{field.name}={base.written(getattr(experiment.smoke, field.name))}'
    for field in dataclasses.fields(experiment.smoke)
  ]
  argv = [name, *flags, '--seeds=0:3', f'--out={tmp_path}']
  with pytest.raises(SystemExit) as exit_:
    launch.main(experiment, [*argv, '--compile_cache=none'])
  captured = capsys.readouterr()
  assert exit_.value.code == 0, captured.err
  assert '3 seeds' in captured.out
  (page,) = tmp_path.rglob('report.html')
  assert len(page.read_text()) > 10_000


@pytest.mark.parametrize('name', _NAMES)
def test_run_is_pure_and_written_for_one_seed(name, tmp_path):
  """The abstract result has the fields of Result and no seed axis."""
  experiment = _experiment(name)
  data = experiment.load(experiment.smoke, str(tmp_path))
  shapes = jax.eval_shape(
    lambda key, data: experiment.run(experiment.smoke, key, data),
    keys.root(0),
    data,
  )
  assert isinstance(shapes, experiment.result)
  for field, hint in experiment.result.__annotations__.items():
    axes = hint.__metadata__[0]
    assert len(getattr(shapes, field).shape) == len(axes), field


def test_experiments_are_short():
  """An experiment is a page; the variance report's has two."""
  for path in pathlib.Path(experiments.__path__[0]).glob('[a-z]*.py'):
    lines = len(path.read_text().splitlines())
    assert ast.parse(path.read_text())
    assert lines <= 340, f'{path.name} has {lines} lines'
