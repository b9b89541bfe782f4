"""A knob is chosen by validation, and no seed by its own luck."""

import dataclasses

import numpy as np
import pytest

from initlab import base, tables, tuning


@dataclasses.dataclass(frozen=True)
class Config:
  init: str = base.knob('a', 'the scheme', ('a', 'b'))
  rate: float = base.knob(0.1, 'the learning rate')


def _outcome(init, rate, valid, test):
  valid, test = (np.asarray(x, float) for x in (valid, test))
  return base.Outcome(
    config=Config(init, rate),
    label=f'{init}, rate {rate}',
    seeds=np.arange(len(valid)),
    measured={
      'valid': valid,
      'test': test,
      'curve': test[:, None] + np.arange(3),
      'deep': np.ones((len(valid), 3, 2)) * rate,
    },
    predicted={'test': np.zeros(())},
    steps=(0, 1, 2),
  )


@pytest.fixture
def outcomes():
  """Seed 0 alone would take 0.1, for which it is lucky; the others take 1."""
  return [
    _outcome('a', 1.0, [0.5, 0.3, 0.3, 0.3], [10.0, 11, 12, 13]),
    _outcome('a', 0.1, [0.0, 0.45, 0.45, 0.45], [0.0, 1, 2, 3]),
    _outcome('b', 0.1, [0.2, 0.2, 0.2, 0.2], [4.0, 5, 6, 7]),
    _outcome('b', 1.0, [0.1, 0.1, 0.1, np.nan], [0.0, 0, 0, np.nan]),
  ]


def test_a_seed_is_judged_where_the_other_seeds_choose(outcomes):
  """Of a, all seeds choose 0.1 for seed 0's luck; but not for seed 0 itself.

  Means of the others: without seed 0, 0.3 to 0.45; without one of the rest,
  (0.5 + 0.3 + 0.3) / 3 = 0.367 to (0 + 0.45 + 0.45) / 3 = 0.3.
  """
  a, _ = tuning.choices(outcomes, 'rate', 'valid')
  assert [each.config.rate for each in a.options] == [0.1, 1.0]
  assert a.best == 0
  np.testing.assert_array_equal(a.by_seed, [1, 0, 0, 0])
  first, _ = tuning.chosen(outcomes, 'rate', 'valid')
  np.testing.assert_array_equal(first.measured['test'], [10, 1, 2, 3])
  np.testing.assert_array_equal(first.measured['curve'][:, 2], [12, 3, 4, 5])
  np.testing.assert_array_equal(
    first.measured['deep'][:, 0, 0], [1, 0.1, 0.1, 0.1]
  )


def test_a_value_that_loses_a_seed_is_the_worst(outcomes):
  """Unless the lost seed is the one that is judged: it knows of the others."""
  _, b = tuning.choices(outcomes, 'rate', 'valid')
  assert b.options[b.best].config.rate == 0.1
  np.testing.assert_array_equal(b.by_seed, [0, 0, 0, 1])
  _, second = tuning.chosen(outcomes, 'rate', 'valid')
  assert np.isnan(second.measured['test'][3])


def test_the_test_examples_do_not_choose(outcomes):
  """Whatever the test errors are, the choice is the same."""
  other = [
    each._replace(measured={**each.measured, 'test': -each.measured['test']})
    for each in outcomes
  ]
  for one, two in zip(
    tuning.choices(outcomes, 'rate', 'valid'),
    tuning.choices(other, 'rate', 'valid'),
    strict=True,
  ):
    np.testing.assert_array_equal(one.by_seed, two.by_seed)


def test_groups_keep_their_order_and_their_names(outcomes):
  labels = [each.label for each in tuning.chosen(outcomes, 'rate', 'valid')]
  assert labels == ['a', 'b']
  alone = [_outcome('a', 0.1, [1.0], [2.0])]
  (found,) = tuning.chosen(alone, 'rate', 'valid')
  assert found.measured['test'] == [2.0]
  one = [each._replace(label=f'rate {each.config.rate}') for each in alone]
  assert tuning.chosen(one, 'rate', 'valid')[0].label == 'rate chosen'


def test_the_table_says_what_was_chosen_of_what(outcomes):
  text = tables.grid(tuning.table(outcomes, 'rate', 'valid'), 120)
  assert '0.1, 1.0' in text
  assert '3 of 4' in text
