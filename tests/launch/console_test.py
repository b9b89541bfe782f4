"""The command `initlab`."""

import json
import runpy
import sys

import pytest

from initlab.launch import console
from tests.helpers import programs


def _run(monkeypatch, *argv):
  monkeypatch.setattr(sys, 'argv', ['initlab', *argv])
  console.main()


def test_list_names_every_program_with_its_first_line(monkeypatch, capsys):
  _run(monkeypatch, 'list')
  lines = capsys.readouterr().out.splitlines()
  named = dict(line.split(maxsplit=1) for line in lines)
  # The audit of a model is a program without an experiment.
  assert set(named) == {*programs.modules(), 'audit'}
  assert named['variance'].startswith('What an initialization does')
  _run(monkeypatch, 'list', '--json')
  found = json.loads(capsys.readouterr().out)
  assert found['kind'] == 'programs'
  assert [' '.join(doc.split()) for doc in found['programs'].values()] == list(
    named.values()
  )


def test_list_refuses_what_it_does_not_know(monkeypatch, capsys):
  with pytest.raises(SystemExit, match='1'):
    _run(monkeypatch, 'list', '--jsn')
  printed = capsys.readouterr()
  assert not printed.out
  assert printed.err.startswith('initlab: error: list --jsn. usage:')


def test_a_program_runs_as_its_module_does(monkeypatch):
  ran = []
  monkeypatch.setattr(
    runpy,
    'run_module',
    lambda name, **how: ran.append((name, how['run_name'], sys.argv[1:])),
  )
  _run(monkeypatch, 'lectures.descent', '--seeds=0:2')
  ((name, run_name, flags),) = ran
  assert name.endswith('experiments.lectures.descent')
  assert (run_name, flags) == ('__main__', ['--seeds=0:2'])


@pytest.mark.parametrize('argv', [(), ('variants',)])
def test_what_is_no_program_ends_in_one_line(monkeypatch, capsys, argv):
  with pytest.raises(SystemExit) as exit_:
    _run(monkeypatch, *argv)
  assert exit_.value.code == 2
  captured = capsys.readouterr()
  assert ('variance' in captured.err) if argv else ('usage' in captured.out)
