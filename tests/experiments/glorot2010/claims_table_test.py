"""The paper's statements of table 1: each can hold, and each can fail."""

import itertools

import numpy as np
import pytest

from experiments.glorot2010 import (
  __main__,
  claims_plateau,
  claims_table,
  runs,
  table_1,
)
from initlab import launch, stats
from tests.helpers import trainings

_LEARNED = {'Tanh': 1.9}
_PRECISE = {'spread': 0.001}


def _lost(study, finite, row=None, rate=None, field=None):
  """Some settings' seeds, but for the first few, end with nothing finite."""

  def one(outcome):
    config = outcome.config
    if row and table_1.ROWS[row] != (config.activation, config.init):
      return outcome
    if rate and rate != config.learning_rate:
      return outcome
    measured = {
      name: np.where(
        (np.arange(len(x)) < finite).reshape(-1, *[1] * (x.ndim - 1)), x, np.nan
      )
      if field in (None, name)
      else x
      for name, x in outcome.measured.items()
    }
    return outcome._replace(measured=measured)

  return [one(outcome) for outcome in study]


@pytest.mark.parametrize('finite', [0, 1])
@pytest.mark.parametrize('rate', [0.001, 1.0])
def test_what_diverged_has_not_learned_nothing(finite, rate):
  """At an end of the three decades, which the rest no longer spans."""
  lost = _lost(trainings.study(), finite, 'Tanh', rate)
  assert trainings.holds(claims_plateau.plateau, lost) is None
  lost = _lost(trainings.study(), finite, 'Sigmoid')
  assert trainings.holds(claims_plateau.plateau, lost) is None


def test_what_diverged_within_the_decades_takes_no_part():
  """Neither for nor against: the rest decides."""
  for costs, found in (({}, True), (_LEARNED, False)):
    lost = _lost(trainings.study(costs=costs), 0, 'Tanh', 0.01)
    assert trainings.holds(claims_plateau.plateau, lost) is found


def test_the_prior_entropy_wants_a_finite_rate_of_both_rows():
  claim = claims_plateau.prior_entropy
  study = trainings.study(**_PRECISE)
  lost = _lost(study, 1, 'Tanh', 0.1)
  assert trainings.holds(claim, lost) is True
  assert trainings.holds(claim, _lost(study, 1, 'Tanh')) is None


@pytest.mark.parametrize('finite', [0, 1])
@pytest.mark.parametrize(
  ('claim', 'row'),
  [
    (claims_plateau.off_the_plateau, 'Softsign'),
    (claims_table.order, 'Tanh N'),
    (claims_table.tanh_and_sigmoid, 'Tanh'),
    (claims_table.tanh_and_softsign, 'Softsign'),
    (claims_table.sigmoid_last, 'Sigmoid'),
    (claims_table.tanh_normalized, 'Tanh'),
  ],
  ids=lambda each: getattr(each, 'name', each),
)
def test_fewer_than_two_finite_seeds_test_nothing(claim, row, finite):
  study = trainings.study(steps=(0, runs.LONG))
  assert trainings.holds(claim, _lost(study, finite, row)) is None


@pytest.mark.parametrize(
  'claim',
  [claims_table.order, claims_table.tanh_normalized],
  ids=lambda claim: claim.name,
)
def test_the_order_wants_as_many_pairs_as_its_level(claim):
  """2 / 2^9 is below 0.005, 2 / 2^8 is not."""
  assert trainings.holds(claim, _lost(trainings.study(), 9)) is True
  assert trainings.holds(claim, _lost(trainings.study(), 8)) is None


def test_table_1_invents_nothing():
  """Columns without data say so, and the paper's numbers are the paper's."""
  titles = {'shapeset': 'a', 'mnist': 'b'}
  table = table_1.table({'a': trainings.study()}, titles)
  cells = {
    (column.group, column.head): column.cells for column in table.columns
  }
  assert cells['Shapeset-3x2', 'paper'][4] == '82.61'
  assert cells['Shapeset-3x2', 'here [95%]'][0].startswith('69.68 [')
  assert set(cells['MNIST', 'here [95%]']) == {'no data'}
  assert set(cells['digits', 'here [95%]']) == {'not run'}
  assert set(cells['Small-ImageNet', 'here [95%]']) == {'not available'}
  assert ('digits', 'paper') not in cells
  tests = table_1.differences({'a': trainings.study()}, titles)
  of = dict(zip(tests.index.cells, tests.columns[0].cells, strict=True))
  assert of['Softsign and Tanh'].endswith('*')
  assert not of['Softsign and Softsign N'].endswith('*')
  assert set(tests.columns[1].cells) == {'-'}


@pytest.mark.parametrize('finite', [0, 1, 2])
def test_table_1_has_a_dash_for_what_is_unknown(finite):
  """Of one finite pair there is no test, of one finite seed no interval."""
  titles = {'shapeset': 'a'}
  lost = _lost(trainings.study(), finite, 'Softsign')
  table = table_1.table({'a': lost}, titles)
  cells = {(c.group, c.head): c.cells for c in table.columns}
  own = cells['Shapeset-3x2', 'here [95%]'][0]
  assert (own == 'unknown') == (finite == 0)
  seeds = np.where(np.arange(10) < finite, np.arange(10.0), np.nan)
  assert ('[' in own) == np.isfinite(stats.mean(seeds).low)
  tests = table_1.differences({'a': lost}, titles)
  of = dict(zip(tests.index.cells, tests.columns[0].cells, strict=True))
  assert (of['Softsign and Tanh'] == '-') == (finite < 2)
  assert of['Tanh and Sigmoid'] != '-'


def test_table_1_stands_where_all_seeds_choose_and_says_how_surely():
  """Two rates that validation cannot tell apart, of which one errs more.

  The row is at one of them; its interval reaches as far as the other, and its
  difference from another row is not significant.
  """
  study = trainings.study(rates=(0.1, 1.0))
  rng = np.random.default_rng(5)
  alike = [
    each._replace(
      measured={
        **each.measured,
        'final_valid_error': 0.7 + 0.05 * rng.standard_normal(10),
      }
    )
    if each.config.init == 'glorot' and each.config.activation == 'tanh'
    else each
    for each in study
  ]
  titles = {'shapeset': 'a'}
  narrow, wide = (
    table_1.table({'a': run}, titles).columns[1].cells[3]
    for run in (study, alike)
  )
  width = lambda cell: np.ptp(
    [float(x) for x in cell.split('[')[1][:-1].split(',')]
  )
  assert width(wide) > 8 > 2 > width(narrow)
  p = [
    table_1.differences({'a': run}, titles)
    .columns[0]
    .cells[
      list(itertools.combinations(table_1.ROWS, 2)).index(('Tanh', 'Tanh N'))
    ]
    for run in (study, alike)
  ]
  assert p[0].endswith('*') and not p[1].endswith('*')


@pytest.mark.slow
def test_the_plateau_and_the_order_of_the_rows(tmp_path, capsys):
  """The column Shapeset at half the updates and three of the four rates."""
  chapter = next(
    each
    for each in __main__.COLLECTION.chapters
    if each.title == 'Figure 11 and table 1: Shapeset-3x2'
  )
  shorter = ('--steps=3000', '--learning_rate=0.001,0.1,1')
  chapter = chapter._replace(flags=(*chapter.flags, *shorter))
  program = __main__.COLLECTION._replace(chapters=(chapter,))
  options = [f'--out={tmp_path}', '--compile_cache=none']
  with pytest.raises(SystemExit) as exit_:
    launch.collect(program, ['paper', *options])
  told = capsys.readouterr()
  assert exit_.value.code == 0, told.err
  assert '5 reproduced, 2 not tested' in told.out
