"""The table of planted faults keeps up with the code."""

import ast
import pathlib

import faults
import mutate
import pytest

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize('module', faults.FAULTS)
def test_every_fault_can_be_planted(module):
  """Its text occurs once, and what stands in its place is Python."""
  right = ast.dump(ast.parse((_ROOT / 'initlab' / f'{module}.py').read_text()))
  for fault in faults.FAULTS[module]:
    wrong = mutate.planted(module, fault)
    assert ast.dump(ast.parse(wrong)) != right, fault.what


def test_faults_have_names_of_their_own():
  for of_module in faults.FAULTS.values():
    names = [fault.what for fault in of_module]
    assert len(set(names)) == len(names)


def test_the_tests_of_a_module_are_there():
  assert set(faults.TESTS) == set(faults.FAULTS)
  for files in faults.TESTS.values():
    for file in files:
      assert (_ROOT / file).exists(), file


def test_a_text_that_is_gone_is_an_error():
  gone = faults.Fault('gone', 'no such text', '')
  with pytest.raises(ValueError, match='gone: the text before occurs 0 times'):
    mutate.planted('keys', gone)


def test_the_table_counts_and_explains():
  seen, unseen, silent = (
    faults.Fault(what, '', '', why)
    for what, why in (('a', ''), ('b', '1e-9 of 1e-3'), ('c', ''))
  )
  verdicts = {
    ('keys', seen): mutate.Verdict(True, 'x', 1.0),
    ('keys', unseen): mutate.Verdict(False, '', 1.0),
    ('mlp', silent): mutate.Verdict(False, '', 1.0),
  }
  lines = mutate.table(verdicts).splitlines()
  assert [line.split() for line in lines[1:4]] == [
    ['keys', '1', '2'],
    ['mlp', '0', '1'],
    ['all', '1', '3', '33.3%'],
  ]
  assert lines[4] == 'not caught: keys: b (1e-9 of 1e-3)'
  assert lines[5] == 'not caught: mlp: c (no reason is known)'
