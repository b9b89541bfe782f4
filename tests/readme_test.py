"""The README does not lie: its commands are accepted and its code runs."""

import doctest
import pathlib
import re
import shlex

import pytest

import initlab
from initlab.launch import audits, flags as launch_flags
from initlab.launch.flags import (
  define_collection_flags,
  define_flags,
  read_chapters,
  read_options,
  read_settings,
)
from tests.helpers import programs

_ROOT = pathlib.Path(__file__).parents[1]
_PAGES = [_ROOT / 'README.md', *sorted((_ROOT / 'docs').glob('*.md'))]
_TEXT = '\n'.join(page.read_text() for page in _PAGES)
_COMMANDS = re.findall(
  r'(?:python -m experiments\.|scripts/run )([\w.]+)([^`#\n]*)', _TEXT
)


@pytest.fixture
def mylab(tmp_path, monkeypatch):
  """The reader's own modules, as the pages have them."""
  found = re.findall(r'```python\n# ([\w/]+\.py)\n(.*?)```', _TEXT, re.S)
  assert {path for path, _ in found} >= {'mylab/inits.py', 'my_module.py'}
  for path, code in found:
    place = tmp_path / path
    place.parent.mkdir(exist_ok=True)
    place.write_text(code)
  monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures('mylab')
@pytest.mark.parametrize(('name', 'flags'), _COMMANDS)
def test_commands_are_accepted(name, flags):
  flags = re.sub(r'(:::|[|>]).*', '', re.sub(r'\$\w+|\{\}', '0', flags))
  argv = [each for each in shlex.split(flags) if each != '--help']
  if name == 'audit':
    values = launch_flags.of(audits.Options)
    assert values(['_', *argv]) == ['_']
    assert audits.Options(**launch_flags.read(audits.Options, values))
    return
  module = programs.module(name)
  if hasattr(module, 'COLLECTION'):
    values = define_collection_flags(module.COLLECTION)
    assert values(['_', *argv]) == ['_']
    assert read_chapters(module.COLLECTION, str(values['only'].value))
    return
  experiment = programs.chosen(name, ['_', *argv])
  values = define_flags(experiment)
  assert values(['_', *argv]) == ['_']
  assert read_settings(experiment, values)
  read_options(values)


_SESSIONS = re.findall(
  r'```python\n(>>> .*?)```', (_ROOT / 'README.md').read_text(), re.S
)


@pytest.mark.parametrize(
  'session',
  [
    # `lab_test` makes the same call, of fewer examples and a smaller network.
    pytest.param(_SESSIONS[0], marks=pytest.mark.slow, id='variance'),
    pytest.param(_SESSIONS[1], id='audit'),
    pytest.param('\n'.join(_SESSIONS[2:]), id='initializers'),
  ],
)
def test_code_runs(session):
  names = {'initlab': initlab}
  parsed = doctest.DocTestParser().get_doctest(
    session, names, 'README.md', 'README.md', 0
  )
  runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
  failed, ran = runner.run(parsed)
  assert ran >= 3
  assert failed == 0


@pytest.mark.parametrize('page', _PAGES, ids=lambda page: page.name)
def test_scripts_pages_and_pictures_exist(page):
  text = page.read_text()
  for link in re.findall(r'\]\((?!http)([^)]+)\)', text):
    path, _, heading = link.partition('#')
    target = page.parent / path if path else page
    assert target.exists(), link
    if heading:
      titles = re.findall(r'^#+ (.+)$', target.read_text(), re.M)
      assert heading in [each.lower().replace(' ', '-') for each in titles]
  for path in re.findall(r'`(scripts/\w+)', text):
    assert (_ROOT / path).exists(), path
