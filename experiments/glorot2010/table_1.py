"""Table 1 of Glorot & Bengio 2010: its rows, as measured and as printed.

All are trainings of `experiments.learning`. With several learning rates, each
row uses the rate with the lowest mean validation error, and its intervals and
tests include that choice, see `initlab.report.tuning`.
"""

from collections.abc import Mapping, Sequence
import itertools

import numpy as np

from initlab import claims, datasets, formatting, published, stats
from initlab.experiment import Outcome
from initlab.report import tables, tuning

# Row -> activation and scheme.
ROWS = {
  'Softsign': ('softsign', 'standard'),
  'Softsign N': ('softsign', 'glorot'),
  'Tanh': ('tanh', 'standard'),
  'Tanh N': ('tanh', 'glorot'),
  'Sigmoid': ('sigmoid', 'standard'),
}

# Rows that stay at the plateau of a constant answer, and rows that leave it.
STUCK = ('Tanh', 'Sigmoid')
FREE = ('Softsign', 'Softsign N', 'Tanh N')

# Test errors in percent, in the order of ROWS.
PAPER = {
  'shapeset': (16.27, 16.06, 27.15, 15.60, 82.61),
  'mnist': (1.64, 1.72, 1.76, 1.64, 2.21),
  'cifar10': (55.78, 53.8, 55.9, 52.92, 57.28),
  'small_imagenet': (69.14, 68.13, 70.58, 68.57, 70.66),
}

# The paper's significance level; below 9 pairs no p is that small, since the
# smallest is 2 / 2^n.
SIGNIFICANT, PAIRS = 0.005, 9

_COLUMNS = {
  'shapeset': 'Shapeset-3x2',
  'digits': 'digits',
  'mnist': 'MNIST',
  'cifar10': 'CIFAR-10',
  'small_imagenet': 'Small-ImageNet',
}


# Rows.


def choices(outcomes: Sequence[Outcome]) -> list[tuning.Choice]:
  """The choice of the learning rate for every other setting."""
  return tuning.choices(outcomes, 'learning_rate', 'final_valid_error')


def rows(outcomes: Sequence[Outcome]) -> dict[str, tuning.Choice]:
  """The rows of the table that were run.

  Args:
    outcomes: settings that differ in scheme, activation and learning rate.
  """
  found = {
    (each.outcome.config.activation, each.outcome.config.init): each
    for each in choices(outcomes)
  }
  return {name: found[key] for name, key in ROWS.items() if key in found}


def row(outcomes: Sequence[Outcome], name: str) -> tuning.Choice:
  """One row of the table.

  Raises:
    Untested: it was not run.
  """
  found = rows(outcomes)
  if name not in found:
    raise claims.Untested(f'no {name.lower()} in this run')
  return found[name]


def mean(
  row: tuning.Choice, measure: tuning.Measure, cells: int = 1
) -> stats.Estimate:
  """The mean of a row at its chosen rate, as `claims.mean`.

  Args:
    row: of the table.
    measure: what is averaged.
    cells: the number of intervals that must all cover.

  Raises:
    Untested: too few seeds are finite for an interval.
  """
  found = tuning.mean(row, measure, claims.confidence(cells))
  return _known(found, row.label)


def difference(
  a: tuning.Choice, b: tuning.Choice, measure: tuning.Measure, cells: int = 1
) -> tuning.Comparison:
  """Two rows paired by seed, as `mean`.

  Raises:
    Untested: too few pairs are finite for an interval.
  """
  found = tuning.compare(a, b, measure, claims.confidence(cells))
  _known(found.difference, f'{a.label} and {b.label}')
  return found


def _known(estimate: stats.Estimate, label: str) -> stats.Estimate:
  if np.isnan(estimate.low):
    raise claims.Untested(
      f'no interval of {label}: {estimate.n} of {estimate.total} seeds are '
      'finite'
    )
  return estimate


def percent(outcome: Outcome) -> np.ndarray:
  """The final test errors, `[S]`."""
  return 100 * np.asarray(outcome.measured['final_error'], float)


# The table, and the paper's test of its rows.


def table(
  run: Mapping[str, Sequence[Outcome]], titles: Mapping[str, str]
) -> tables.Table:
  """Test errors in percent, measured and printed in the paper.

  Args:
    run: chapter -> its outcomes, for chapters that could be run.
    titles: data set -> the chapter of its column.
  """
  columns = []
  for dataset, name in _COLUMNS.items():
    if dataset in PAPER:
      cells = [f'{value:.2f}' for value in PAPER[dataset]]
      columns.append(tables.Column(name, 'paper', cells))
    found = rows(run.get(titles.get(dataset, ''), ()))
    ours = [
      f'{tuning.mean(found[row], percent)}' if row in found else _why(dataset)
      for row in ROWS
    ]
    columns.append(tables.Column(name, 'here [95%]', ours))
  return tables.Table(
    'Table 1: test error in percent, at the learning rate that validation '
    'chooses',
    tables.Column('', 'network', list(ROWS)),
    columns,
  )


def _why(dataset: str) -> str:
  """Why a column has no numbers."""
  if dataset not in datasets.DATASETS:
    return 'not available'
  return 'no data' if dataset in published.FOLDERS else 'not run'


def differences(
  run: Mapping[str, Sequence[Outcome]], titles: Mapping[str, str]
) -> tables.Table:
  """The paper's test of every pair of rows: p of `tuning.compare`.

  A dash where a row was not run or fewer than two pairs of seeds are finite.

  Args:
    run: chapter -> its outcomes, of those that could be run.
    titles: data set -> the chapter of its column.
  """
  pairs = list(itertools.combinations(ROWS, 2))
  columns = []
  for dataset, title in titles.items():
    found = rows(run.get(title, ()))
    cells = [
      _p(*(found[name] for name in pair)) if set(pair) <= set(found) else '-'
      for pair in pairs
    ]
    columns.append(tables.Column(_COLUMNS[dataset], 'p', cells))
  return tables.Table(
    f'Differences of test error in table 1; * below p = {SIGNIFICANT}, which '
    f'takes {PAIRS} pairs of seeds; no correction for being many, as in the '
    'paper',
    tables.Column('', 'pair', [' and '.join(pair) for pair in pairs]),
    columns,
  )


def _p(a: tuning.Choice, b: tuning.Choice) -> str:
  p = tuning.compare(a, b, percent).p
  return formatting.p_value(p) + (' *' if p < SIGNIFICANT else '')
