"""`--json`: one document on stdout, its numbers, and its documented keys."""

import json
import pathlib
import re

import numpy as np
import pytest

from initlab import launch, stats
from initlab.experiment import Chapter, Claim, Collection, Finding
from initlab.instruments import variance
from initlab.launch import shell
from initlab.report import as_json, publish
from tests.helpers import made_up, tiny

_PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'machines.md'
_TINY = ('--seeds=0:5',)
_CLAIM = Claim(
  'c', 'It holds.', 'nobody', lambda outcomes: Finding(True, 'told')
)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
  """Runs a program without pictures: what it printed, parsed, and errors."""
  monkeypatch.setattr(publish, 'write', lambda *args: None)
  experiment = tiny.EXPERIMENT._replace(claims=(_CLAIM,))
  chapter = Chapter(experiment, 'The only one', _TINY)
  lacking = variance.EXPERIMENT._replace(claims=(_CLAIM,))
  absent = Chapter(lacking, 'Without data', ('--dataset=mnist',))
  both = Collection('pair', ('-m', 'pair'), 'Two.', (chapter, absent))

  def run(*flags, collection=False):
    places = f'--out={tmp_path / "out"}', '--compile_cache=none'
    places += f'--data_dir={tmp_path}', '--json'
    with pytest.raises(SystemExit) as exit_:
      if collection:
        launch.collect(both, ['pair', *places, *flags])
      launch.main(experiment, ['tiny', *_TINY, *places, *flags])
    assert exit_.value.code == 0
    return json.loads(capsys.readouterr().out)

  return run


def _keys(tree):
  """All keys of a document, but those that are names of what was run."""
  named = {'config', 'answer', 'measured', 'facts', 'counts'}
  if isinstance(tree, list):
    return {key for each in tree for key in _keys(each)}
  if not isinstance(tree, dict):
    return set()
  found = set(tree)
  for key, each in tree.items():
    inner = list(each.values()) if key in named and each else each
    found |= _keys(inner)
  return found


def test_commands_print_documents_whose_keys_are_documented(run):
  plan = run('--dry_run', '--num_shards=2')
  assert plan['kind'] == 'plan' and plan['settings'][0]['missing'] == 5
  shard = run('--num_shards=2', '--shard_index=0')
  assert (shard['kind'], shard['of']) == ('shard', 2) and shard['computed'] > 0
  study = run('--scale=1,2')
  assert study['kind'] == 'study'
  both = run(collection=True)
  assert both['kind'] == 'collection'
  assert both['counts'] == {'pass': 1, 'fail': 0, 'not tested': 1}
  done, absent = both['chapters']
  assert done['claims'][0]['holds'] is True and absent['study'] is None
  assert 'mnist' in absent['not_run']
  one, other = done['study']['settings'][0], study['settings'][0]
  assert one['measured'] == other['measured']
  page = _PAGE.read_text()
  for document in plan, shard, study, both:
    assert document['schema'] == as_json.SCHEMA
    for key in _keys(document):
      assert f'`{key}`' in page, key


def test_numbers_are_those_of_the_arrays():
  outcome = made_up.outcome('glorot', seeds=7)
  outcome.measured['gradient_std'][:, 2] = np.nan
  outcome = outcome._replace(geometric=frozenset({'activation_std'}))
  experiment = variance.EXPERIMENT._replace(
    verdict=lambda outcome: ['told'],
    answer=lambda outcome: {
      ('a', 'b'): stats.mean(outcome.measured['loss']),
      ('a', 'theory'): np.nan,
    },
  )
  text = as_json.document('study', as_json.study(experiment, [outcome], {}))
  (setting,) = json.loads(text)['settings']
  found = setting['measured']['activation_std']
  expected = stats.geometric_mean(outcome.measured['activation_std'])
  for end in ('value', 'low', 'high'):
    np.testing.assert_array_equal(found[end], getattr(expected, end))
  assert found['mean'] == 'geometric' and found['axes'] == ['layer']
  np.testing.assert_array_equal(
    found['theory'], outcome.predicted['activation_std']
  )
  lost = setting['measured']['gradient_std']
  assert lost['value'][2] is None and lost['seeds'][2] == 0
  assert 'activation_sample' not in setting['measured']
  mean = float(stats.mean(outcome.measured['loss']).value)
  assert setting['answer']['a']['b']['value'] == mean
  assert setting['answer']['a']['theory'] is None


def test_exit_statuses_are_documented_and_in_help(capsys):
  table = re.findall(r'^\| (\d+) \| (.*) \|$', _PAGE.read_text(), re.M)
  told = {int(status): words.replace('`', '') for status, words in table}
  assert told == shell.STATUSES
  with pytest.raises(SystemExit):
    launch.main(variance.EXPERIMENT, ['variance', '--help'])
  text = capsys.readouterr().out
  assert '--flagfile' in text and '--json' in text
  for status in (0, 1, 130):
    assert f'\n  {status}  {shell.STATUSES[status]}\n' in f'{text}\n'
