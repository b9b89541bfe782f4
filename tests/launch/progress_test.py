"""A progress bar shows on a terminal and in a notebook, and leaves nothing."""

import io
import sys
import types

import pytest
from rich import console

from initlab.launch import progress


class Notebook(types.ModuleType):
  """The part of IPython's display that is used, one output."""

  def __init__(self):
    super().__init__('IPython.display')
    self.shown = []

  def display(self, data, raw, display_id):
    assert raw and display_id and not self.shown
    self.shown.append(data['text/html'])
    return self

  def update(self, data, raw):
    assert raw and self.shown
    self.shown.append(data['text/html'])


@pytest.fixture
def notebook(monkeypatch):
  display = Notebook()
  package = types.ModuleType('IPython')
  package.display = display
  monkeypatch.setitem(sys.modules, 'IPython', package)
  monkeypatch.setitem(sys.modules, 'IPython.display', display)
  monkeypatch.setattr(console, '_is_jupyter', lambda: True)
  return display


def test_a_notebook_shows_a_bar_that_is_gone_at_the_end(notebook, monkeypatch):
  monkeypatch.setattr(progress, '_DELAY', -1.0)
  with pytest.raises(KeyboardInterrupt), progress.bar(8) as advance:
    advance('<he>', 2)
    advance('<he>', 0.5)
    raise KeyboardInterrupt
  first, second, last = notebook.shown
  assert 'max="8" value="2"' in first and '&lt;he&gt; 2 of 8 seeds' in first
  assert 'value="2.5"' in second
  assert last == ''


def test_a_quick_run_shows_nothing_in_a_notebook(notebook):
  with progress.bar(8) as advance:
    advance('he', 8)
  assert not notebook.shown


def test_a_terminal_shows_seeds(monkeypatch):
  terminal = io.StringIO()
  monkeypatch.setattr(terminal, 'isatty', lambda: True)
  monkeypatch.setattr(sys, 'stderr', terminal)
  monkeypatch.setenv('TERM', 'xterm')
  with progress.bar(8) as advance:
    advance('he', 2)
  shown = terminal.getvalue()
  assert '2/8 seeds' in shown and 'he' in shown
  # The line is erased.
  assert shown.rstrip('\r').endswith('\x1b[2K')


def test_elsewhere_there_is_none(capsys):
  with progress.bar(8) as advance:
    advance('glorot', 0.5)
  assert capsys.readouterr().err == ''
