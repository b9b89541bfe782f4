"""Statements of Glorot & Bengio 2010 about where training ends: table 1.

All are checked on `experiments.learning`, one network size in a run. The paper
trains for 5 million updates; what it says of their end is not tested by a run
of less than LONG, which says so instead.

Several learning rates in a run: each row of the table stands at the rate of the
least mean validation error, and its intervals and tests include that it was
chosen, see `initlab.tuning`. Intervals are widened as in `glorot2010`, so that
all of one statement cover with a probability of 99%. The docstring of a check
is its criterion. What has too few finite seeds for an interval neither supports
a statement nor refutes it: the statement is not tested.
"""

from collections.abc import Mapping, Sequence
import itertools

import numpy as np

from initlab import claims, datasets, formatting, published, stats
from initlab.experiment import Claim, Finding, Outcome
from initlab.report import tables, tuning

from . import claims_start

LONG = 1_000_000

# The rows of table 1: activation and scheme.
ROWS = {
  'Softsign': ('softsign', 'standard'),
  'Softsign N': ('softsign', 'glorot'),
  'Tanh': ('tanh', 'standard'),
  'Tanh N': ('tanh', 'glorot'),
  'Sigmoid': ('sigmoid', 'standard'),
}

# Test errors of table 1 in percent, in the order of ROWS.
PAPER = {
  'shapeset': (16.27, 16.06, 27.15, 15.60, 82.61),
  'mnist': (1.64, 1.72, 1.76, 1.64, 2.21),
  'cifar10': (55.78, 53.8, 55.9, 52.92, 57.28),
  'small_imagenet': (69.14, 68.13, 70.58, 68.57, 70.66),
}

# A difference is one where the paper's own test rejects chance: below 9 pairs
# no p is that small, the least being 2 / 2^n.
SIGNIFICANT = 0.005
_PAIRS = 9

_SOURCE = claims_start.SOURCE

STUCK = ('Tanh', 'Sigmoid')
FREE = ('Softsign', 'Softsign N', 'Tanh N')
_TUNED = ('learning_rate', 'final_valid_error')
_SCALED = ('rmsprop', 'curvature')  # by gradient variance, by Hessian


def rows(outcomes: Sequence[Outcome]) -> dict[str, tuning.Choice]:
  """The rows of the table that were run, each with its choice of the rate.

  Args:
    outcomes: settings that differ in scheme, activation and learning rate.
  """
  choices = tuning.choices(outcomes, *_TUNED)
  found = {
    (each.outcome.config.activation, each.outcome.config.init): each
    for each in choices
  }
  return {name: found[key] for name, key in ROWS.items() if key in found}


def one_row(outcomes: Sequence[Outcome], name: str) -> tuning.Choice:
  """A row of the table; raises Untested where it was not run."""
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
    cells: how many intervals must all cover.

  Raises:
    Untested: too few seeds are finite for an interval.
  """
  confidence = claims.confidence(cells)
  return _known(tuning.mean(row, measure, confidence), row.label)


def difference(
  a: tuning.Choice,
  b: tuning.Choice,
  measure: tuning.Measure,
  cells: int = 1,
) -> tuning.Comparison:
  """Two rows paired by seed, as `mean`.

  Raises:
    Untested: too few pairs are finite for an interval.
  """
  confidence = claims.confidence(cells)
  found = tuning.compare(a, b, measure, confidence)
  _known(found.difference, f'{a.label} and {b.label}')
  return found


def _known(estimate: stats.Estimate, label: str) -> stats.Estimate:
  if np.isnan(estimate.low):
    raise claims.Untested(
      f'no interval of {label}: {estimate.n} of {estimate.total} seeds are '
      'finite'
    )
  return estimate


def _at_all_rates(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
  activation, init = ROWS[name]
  return claims.every(outcomes, activation=activation, init=init)


def long_enough(outcome: Outcome, why: str) -> None:
  """Raises Untested where a run is not as long as what the paper tells of."""
  steps = outcome.steps[-1]
  if steps < LONG:
    raise claims.Untested(f'{steps} updates are too few: {why}')


def entry(estimate: stats.Estimate, *place: int) -> stats.Estimate:
  """One of an estimate of several numbers."""
  value, low, high, n = (part[place] for part in estimate[:4])
  return stats.Estimate(value, low, high, n, estimate.total)


# The plateau.


def constant_cost(outcome: Outcome) -> float:
  """The least cost, in nats, of an answer that is the same for every example.

  That is the entropy of the labels' shares among the very test examples whose
  cost was measured: below it, something of the images has been learned.
  """
  dataset = datasets.DATASETS[outcome.config.dataset]
  most = outcome.config.test_size
  labels = dataset.split('test', most if dataset.draw else None, '').y[:most]
  shares = np.bincount(np.asarray(labels)) / len(labels)
  return -float(np.sum(shares[shares > 0] * np.log(shares[shares > 0])))


def _costs(
  outcomes: Sequence[Outcome],
) -> tuple[dict[str, list[tuple[float, stats.Estimate]]], str]:
  """Of each stuck row, learning rates with their test costs; and as text.

  The intervals of all rates of both rows cover together. A rate with too few
  finite seeds for one is left out, as nothing is known of its cost.
  """
  settings = {name: _at_all_rates(outcomes, name) for name in STUCK}
  cells = sum(map(len, settings.values()))
  found, evidence = {}, []
  for name, options in settings.items():
    costs = [
      (
        each.config.learning_rate,
        stats.mean(each.measured['final_cost'], claims.confidence(cells)),
      )
      for each in options
    ]
    found[name] = [pair for pair in costs if np.isfinite(pair[1].low)]
    told = (f'{claims.told(cost)} at {rate:g}' for rate, cost in costs)
    evidence.append(f'{name.lower()}: {", ".join(told)}')
  told = f'test cost in nats, by learning rate: {"; ".join(evidence)}'
  if not all(found.values()):
    raise claims.Untested(f'no rate has an interval; {told}')
  return found, told


def _plateau(outcomes: Sequence[Outcome]) -> Finding:
  """The test cost at every rate, against the least cost of a constant answer.

  The paper optimized the learning rate of each model, so every rate is tested.
  One with too few finite seeds for an interval takes no part: a network that
  diverged has not shown that it learns nothing.

  Holds if no interval, of either network at any rate, reaches below the cost of
  a constant answer.

  Untested if tanh or sigmoid with standard weights is not in the run, or has no
  rate with an interval; and, unless an interval lies below that cost, if the
  rates with intervals span less than three decades, or an interval holds that
  cost and values below it.
  """
  found, told = _costs(outcomes)
  floors = {
    name: constant_cost(_at_all_rates(outcomes, name)[0]) for name in found
  }
  told += f'; a constant answer costs {floors[STUCK[0]]:.4f} on these examples'
  below = [
    cost.high < floors[name]
    for name, costs in found.items()
    for _, cost in costs
  ]
  if any(below):
    return claims.finding(False, told)
  for costs in found.values():
    rates = [rate for rate, _ in costs]
    if np.log10(max(rates) / min(rates)) < 3 - 1e-9:
      raise claims.Untested(
        f'finite costs at learning rates over less than three decades; {told}'
      )
  above = [
    cost.low >= floors[name]
    for name, costs in found.items()
    for _, cost in costs
  ]
  if not all(above):
    raise claims.Untested(f'an interval holds it and values below; {told}')
  return claims.finding(True, told)


def _prior_entropy(outcomes: Sequence[Outcome]) -> Finding:
  """The least test cost over rates, against the entropy of the class prior.

  The paper's 82.61% for the sigmoid is about the error of a constant answer,
  83.33%, whose cost is the entropy of the class prior, 2.1100 nats. -ln P(y) of
  a drawn label has this mean and a deviation of 0.3934, so the mean over N test
  labels lies within 2.576 x 0.3934 / sqrt(N) of it with a probability of 99%.

  The least of the mean costs of a row lies between the least low end and the
  least high end of its rates' intervals, where these cover together.

  Holds if both of these ends, of tanh and of sigmoid, lie as near to the
  entropy as the test labels tell.

  Untested if tanh or sigmoid with standard weights is not in the run, or has no
  rate with an interval; or if one of the two ends, but not both on the same
  side, lies farther from the entropy than that: the costs are not known well
  enough.
  """
  prior = np.repeat([3, 2, 1], 3) / 18
  entropy = -np.sum(prior * np.log(prior))
  spread = np.sqrt(np.sum(prior * np.log(prior) ** 2) - entropy**2)
  found, _ = _costs(outcomes)
  test_size = _at_all_rates(outcomes, STUCK[0])[0].config.test_size
  within = 2.576 * spread / np.sqrt(test_size)
  ends, evidence = [], []
  for name, costs in found.items():
    value, low, high = (
      min(float(cost[part]) for _, cost in costs) for part in range(3)
    )
    ends.append((low, high))
    evidence.append(f'{name.lower()} {value:.4f} [{low:.4f}, {high:.4f}]')
  told = (
    f'least test cost of all rates: {", ".join(evidence)} nats; the prior has '
    f'{entropy:.4f}, and {test_size} labels err by {within:.4f}'
  )
  if any(
    high < entropy - within or low > entropy + within for low, high in ends
  ):
    return claims.finding(False, told)
  if any(
    low < entropy - within or high > entropy + within for low, high in ends
  ):
    raise claims.Untested(f'the costs are not known well enough; {told}')
  return claims.finding(True, told)


def _off(outcomes: Sequence[Outcome]) -> Finding:
  """The test costs at the chosen rates, against that of a constant answer.

  The paper's errors of these rows, 15.6 to 16.3%, are far from the 83.33% of a
  constant answer; a shorter run can show that they are off it.

  Holds if the interval of each of the three rows lies below the cost of a
  constant answer.

  Untested if one of the rows is not in the run.
  """
  holds, evidence = True, []
  for name in FREE:
    row = one_row(outcomes, name)
    floor = constant_cost(row.outcome)
    cost = mean(row, lambda each: each.measured['final_cost'], len(FREE))
    holds &= bool(cost.high < floor)
    evidence.append(f'{name.lower()} {claims.told(cost)}')
  return claims.finding(
    holds,
    f'test cost in nats at the chosen rate: {", ".join(evidence)}; a constant '
    f'answer costs {floor:.4f}',
  )


# The order of the rows.


def _percent(outcome: Outcome) -> np.ndarray:
  """The final test errors, `[S]`."""
  return 100 * np.asarray(outcome.measured['final_error'], float)


def _less(
  outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]]
) -> Finding:
  """Of every pair, the first has the lower test error, by the paper's test.

  The paper calls a difference significant at p = 0.005, without a correction
  for being many, and so does this; one that is not, or is the other way round,
  refutes the order. Too few pairs for such a p test nothing.
  """
  holds, evidence = True, []
  for low, high in pairs:
    a, b = (one_row(outcomes, name) for name in (low, high))
    found = difference(a, b, _percent, len(pairs))
    if found.difference.n < _PAIRS:
      raise claims.Untested(
        f'p below {SIGNIFICANT} needs {_PAIRS} pairs of seeds, not '
        f'{found.difference.n}'
      )
    holds &= bool(found.difference.value < 0 and found.p < SIGNIFICANT)
    evidence.append(
      f'{low.lower()} - {high.lower()} '
      f'{claims.told(found.difference)}, p = {found.p:.2g}'
    )
  return claims.finding(
    holds,
    f'test error in percent, paired by seed: {"; ".join(evidence)}; tested '
    f'at p = {SIGNIFICANT}',
  )


def _order(low: Sequence[str], high: Sequence[str]) -> claims.Check:
  pairs = tuple(itertools.product(low, high))

  def check(outcomes: Sequence[Outcome]) -> Finding:
    """Test errors at the chosen rates, of every pair of `low` and `high`.

    Holds if in every pair that of `low` has the lower mean, with a p below
    0.005 of the permutation test by seed.

    Untested if one of the rows is not in the run, or fewer than nine seeds are
    finite in both rows of a pair.
    """
    return _less(outcomes, pairs)

  return check


def _final_order(low: str, high: str) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """Test errors of two rows at their chosen rates, when training ends.

    Holds if the first row has the lower mean, with a p below 0.005 of the
    permutation test by seed.

    Untested if one of the rows is not in the run, fewer than nine seeds are
    finite in both, or they learn for less than a million updates: the paper
    tells of 5 million.
    """
    found = _less(outcomes, ((low, high),))
    row = one_row(outcomes, low).outcome
    long_enough(row, f'so far {found.evidence}')
    return found

  return check


TABLE = (
  Claim(
    'table 1: plateau',
    'With standard weights, tanh and sigmoid networks learn nothing of the '
    'images, at any learning rate over three decades.',
    f'{_SOURCE}, table 1 and figure 11, as far as a short run goes',
    _plateau,
  ),
  Claim(
    'table 1: 2.110 nats',
    'What they are stuck at is the entropy of the class prior.',
    f"{_SOURCE}, table 1: 82.61%, the prior's error being 83.33%",
    _prior_entropy,
  ),
  Claim(
    'table 1: off the plateau',
    'Softsign with either initialization, and tanh with normalized weights, '
    'leave it.',
    f'{_SOURCE}, table 1 and figure 11',
    _off,
  ),
  Claim(
    'table 1: order',
    'Softsign, softsign N and tanh N err less than tanh, and than sigmoid.',
    f'{_SOURCE}, table 1, Shapeset-3x2',
    _order(FREE, STUCK),
  ),
  Claim(
    'table 1: tanh and sigmoid',
    'Tanh with standard weights errs less than sigmoid.',
    f'{_SOURCE}, table 1, Shapeset-3x2: 27.15% and 82.61%',
    _final_order('Tanh', 'Sigmoid'),
  ),
  Claim(
    'table 1: tanh N and softsign',
    'Tanh N errs less than softsign.',
    f'{_SOURCE}, table 1, Shapeset-3x2: 15.60% and 16.27%',
    _final_order('Tanh N', 'Softsign'),
  ),
)


def _four_layers(outcomes: Sequence[Outcome]) -> Finding:
  """The test error of four layers less that of five, at the chosen rates.

  Holds if the interval of the difference, paired by seed, lies below 0.

  Untested if not both depths are in the run, fewer than two seeds are finite in
  both, or they learn for less than a million updates.
  """
  found = {
    len(each.outcome.config.layer_widths()) - 2: each
    for each in tuning.choices(outcomes, *_TUNED)
  }
  if set(found) != {4, 5}:
    raise claims.Untested('four and five hidden layers are not both here')
  less = difference(found[4], found[5], _percent, 1).difference
  told = claims.told(less)
  long_enough(found[4].outcome, f'so far the difference in percent is {told}')
  return claims.finding(bool(less.high < 0), f'difference in percent: {told}')


DEPTH = (
  Claim(
    'table 1: depth of the sigmoid',
    'The sigmoid does better with four hidden layers than with five.',
    f'{_SOURCE}, section 2.3; table 1 says five for all',
    _four_layers,
  ),
)


# Side results.


def _by_curvature(
  outcomes: Sequence[Outcome], other: tuple[str, str]
) -> tuple[list[stats.Estimate], str]:
  """Tanh, standard weights, rates by curvature: test errors minus another's.

  Args:
    outcomes: of tanh with every optimizer and scheme.
    other: optimizer and scheme of the other.

  Returns:
    The differences in percent, in the order of _SCALED, and as text.
  """
  found = {
    (each.outcome.config.optimizer, each.outcome.config.init): each
    for each in tuning.choices(outcomes, *_TUNED)
    if each.outcome.config.activation == 'tanh'
  }
  wanted = itertools.product(('sgd', *_SCALED), ('standard', 'glorot'))
  if not set(wanted) <= set(found):
    raise claims.Untested('tanh is not here with every optimizer')
  less = [
    difference(found[name, 'standard'], found[other], _percent, 2).difference
    for name in _SCALED
  ]
  told = ', '.join(
    f'{name} {claims.told(each)}'
    for name, each in zip(_SCALED, less, strict=True)
  )
  return less, told


def _gain(outcomes: Sequence[Outcome]) -> Finding:
  """Test errors with rates by gradient variance and by Hessian, less one rate.

  All of tanh with standard weights; what is subtracted is plain gradient
  descent, paired by seed, each at its chosen rate.

  Holds if one at least of the two intervals lies below 0.

  Untested if tanh is not in the run with every optimizer and both kinds of
  weights, or fewer than two seeds are finite in both of a difference.
  """
  less, told = _by_curvature(outcomes, ('sgd', 'standard'))
  return claims.finding(
    any(each.high < 0 for each in less),
    f'test error in percent, less that of one rate for all: {told}',
  )


def _not_enough(outcomes: Sequence[Outcome]) -> Finding:
  """Test errors with rates by gradient variance and by Hessian, less Tanh N.

  The two have standard weights; what is subtracted is plain gradient descent
  with normalized ones, paired by seed, each at its chosen rate.

  Holds if both intervals lie above 0.

  Untested if tanh is not in the run with every optimizer and both kinds of
  weights, or fewer than two seeds are finite in both of a difference.
  """
  less, told = _by_curvature(outcomes, ('sgd', 'glorot'))
  return claims.finding(
    all(each.low > 0 for each in less),
    'test error in percent, less that of normalized weights and one rate for '
    f'all: {told}',
  )


CURVATURE = (
  Claim(
    'curvature: a gain',
    'Learning rates by curvature help a tanh network with standard weights.',
    f'{_SOURCE}, section 5',
    _gain,
  ),
  Claim(
    'curvature: not enough',
    'They do not bring it to where normalized weights are.',
    f'{_SOURCE}, section 5',
    _not_enough,
  ),
)

SMALL_IMAGES = (
  Claim(
    'figure 12: sigmoid',
    'The sigmoid network errs more than all others.',
    f'{_SOURCE}, figure 12 and table 1',
    _order((*FREE, 'Tanh'), ('Sigmoid',)),
  ),
  Claim(
    'figure 12: tanh',
    'Tanh errs less with normalized weights.',
    f'{_SOURCE}, figure 12 and table 1',
    _order(('Tanh N',), ('Tanh',)),
  ),
)


# Table 1 as a table.

_COLUMNS = {
  'shapeset': 'Shapeset-3x2',
  'digits': 'digits',
  'mnist': 'MNIST',
  'cifar10': 'CIFAR-10',
  'small_imagenet': 'Small-ImageNet',
}


def table(
  run: Mapping[str, Sequence[Outcome]], titles: Mapping[str, str]
) -> tables.Table:
  """Test errors in percent, the paper's beside ours.

  Args:
    run: chapter -> its outcomes, of those that could be run.
    titles: data set -> the chapter of its column.
  """
  columns = []
  for dataset, name in _COLUMNS.items():
    if dataset in PAPER:
      cells = [f'{value:.2f}' for value in PAPER[dataset]]
      columns.append(tables.Column(name, 'paper', cells))
    found = rows(run.get(titles.get(dataset, ''), ()))
    ours = [
      _cell(found[row]) if row in found else _missing(dataset) for row in ROWS
    ]
    columns.append(tables.Column(name, 'here [95%]', ours))
  return tables.Table(
    'Table 1: test error in percent, at the learning rate that validation '
    'chooses',
    tables.Column('', 'network', list(ROWS)),
    columns,
  )


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
    cells = []
    for pair in pairs:
      if not set(pair) <= set(found):
        cells.append('-')
        continue
      a, b = (found[name] for name in pair)
      p = tuning.compare(a, b, _percent).p
      text = formatting.p_value(p)
      cells.append(f'{text} *' if p < SIGNIFICANT else text)
    columns.append(tables.Column(_COLUMNS[dataset], 'p', cells))
  return tables.Table(
    f'Differences of test error in table 1; * below p = {SIGNIFICANT}, which '
    f'takes {_PAIRS} pairs of seeds; no correction for being many, as in the '
    'paper',
    tables.Column('', 'pair', [' and '.join(pair) for pair in pairs]),
    columns,
  )


def _missing(dataset: str) -> str:
  if dataset not in datasets.DATASETS:
    return 'not available'
  return 'no data' if dataset in published.FOLDERS else 'not run'


def _cell(row: tuning.Choice) -> str:
  return claims.told(tuning.mean(row, _percent))
