"""The README does not lie: its commands are accepted and its code runs."""

import doctest
import importlib
import pathlib
import re
import shlex

import pytest

from initlab import initializers, launch

_ROOT = pathlib.Path(__file__).parents[1]
_TEXT = (_ROOT / 'README.md').read_text()
_COMMANDS = re.findall(
  r'(?:python -m experiments\.|scripts/run )(\w+)([^`#\n]*)', _TEXT
)


@pytest.mark.parametrize(('name', 'flags'), _COMMANDS)
def test_commands_are_accepted(name, flags):
  module = importlib.import_module(f'experiments.{name}')
  flags = re.sub(r':::.*', '', re.sub(r'\$\w+|\{\}', '0', flags))
  argv = [each for each in shlex.split(flags) if each != '--help']
  if hasattr(module, 'COLLECTION'):
    values = launch.define_collection_flags(module.COLLECTION)
    assert values(['_', *argv]) == ['_']
    assert launch.read_chapters(module.COLLECTION, str(values['only'].value))
    return
  experiment = module.EXPERIMENT
  values = launch.define_flags(experiment)
  assert values(['_', *argv]) == ['_']
  assert launch.read_settings(experiment, values)
  launch.read_options(values, '')
  launch.read_workers(values)


def test_code_runs():
  failed, ran = doctest.testfile(
    str(_ROOT / 'README.md'),
    module_relative=False,
    optionflags=doctest.NORMALIZE_WHITESPACE,
  )
  assert ran >= 5
  assert failed == 0


def test_scripts_and_pictures_exist():
  for path in re.findall(r'\]\((?!http)([^)]+)\)|`(scripts/\w+)', _TEXT):
    assert (_ROOT / ''.join(path)).exists(), path


def test_counts_the_schemes():
  assert f'{len(initializers.SCHEMES)} schemes' in _TEXT
