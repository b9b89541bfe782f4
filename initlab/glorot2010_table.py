"""Statements of Glorot & Bengio 2010 about where training ends: table 1.

All are checked on `experiments.learning`, one network size in a run. The paper
trains for 5 million updates; what it says of their end is not tested by a run
of less than LONG, which says so instead.

Several learning rates in a run: each row of the table stands at the rate that
the mean validation error of the other seeds chooses, see `initlab.tuning`.
Intervals are widened as in `glorot2010`, so that all of one statement cover
with a probability of 99%.
"""

from collections.abc import Mapping, Sequence
import itertools

import numpy as np

from initlab import base, claims, datasets, glorot2010, stats, tables, tuning

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

# A difference is one where the paper's own test rejects chance.
SIGNIFICANT = 0.005

_SOURCE = glorot2010.SOURCE

STUCK = ('Tanh', 'Sigmoid')
FREE = ('Softsign', 'Softsign N', 'Tanh N')
_TUNED = ('learning_rate', 'final_valid_error')
_SCALED = ('rmsprop', 'curvature')  # by gradient variance, by Hessian


def rows(outcomes: Sequence[base.Outcome]) -> dict[str, base.Outcome]:
  """The rows of the table at their chosen learning rates, those that were run.

  Args:
    outcomes: settings that differ in scheme, activation and learning rate.
  """
  chosen = tuning.chosen(outcomes, *_TUNED)
  found = {(each.config.activation, each.config.init): each for each in chosen}
  return {name: found[key] for name, key in ROWS.items() if key in found}


def one_row(outcomes: Sequence[base.Outcome], name: str) -> base.Outcome:
  """A row of the table; raises Untested where it was not run."""
  found = rows(outcomes)
  if name not in found:
    raise claims.Untested(f'no {name.lower()} in this run')
  return found[name]


def _at_all_rates(
  outcomes: Sequence[base.Outcome], name: str
) -> list[base.Outcome]:
  activation, init = ROWS[name]
  return claims.every(outcomes, activation=activation, init=init)


def long_enough(outcome: base.Outcome, why: str) -> None:
  """Raises Untested where a run is not as long as what the paper tells of."""
  steps = outcome.steps[-1]
  if steps < LONG:
    raise claims.Untested(f'{steps} updates are too few: {why}')


def entry(estimate: stats.Estimate, *place: int) -> stats.Estimate:
  """One of an estimate of several numbers."""
  value, low, high, n = (part[place] for part in estimate[:4])
  return stats.Estimate(value, low, high, n, estimate.total)


# The plateau.


def constant_cost(outcome: base.Outcome) -> float:
  """The least cost, in nats, of an answer that is the same for every example.

  That is the entropy of the labels' shares among the very test examples whose
  cost was measured: below it, something of the images has been learned.
  """
  dataset = datasets.DATASETS[outcome.config.dataset]
  most = outcome.config.test_size
  labels = dataset.split('test', most if dataset.draw else None, '').y[:most]
  shares = np.bincount(np.asarray(labels)) / len(labels)
  return -float(np.sum(shares[shares > 0] * np.log(shares[shares > 0])))


def _decades(outcomes: Sequence[base.Outcome]) -> float:
  rates = [each.config.learning_rate for each in outcomes]
  return float(np.log10(max(rates) / min(rates)))


def _plateau(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """No interval of the cost reaches below what a constant answer costs."""
  settings = {name: _at_all_rates(outcomes, name) for name in STUCK}
  if min(map(_decades, settings.values())) < 3 - 1e-9:
    raise claims.Untested('learning rates over less than three decades')
  cells = sum(map(len, settings.values()))
  holds, evidence = True, []
  for name, options in settings.items():
    floor = constant_cost(options[0])
    costs = []
    for each in options:
      cost = glorot2010.simultaneous(each.measured['final_cost'], cells)
      holds &= bool(cost.low >= floor) or not cost.n
      costs.append(f'{claims.told(cost)} at {each.config.learning_rate:g}')
    evidence.append(f'{name.lower()}: {", ".join(costs)}')
  return claims.finding(
    holds,
    f'test cost in nats, by learning rate; a constant answer costs {floor:.4f} '
    f'on these examples. {"; ".join(evidence)}',
  )


def _prior_entropy(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Within the sampling error of the test labels of ln's mean over the prior.

  -ln P(y) of a drawn label has mean 2.1100 and standard deviation 0.3934, so
  the mean over N test labels lies within 2.576 x 0.3934 / sqrt(N) of 2.1100
  with a probability of 99%.
  """
  prior = np.repeat([3, 2, 1], 3) / 18
  entropy = -np.sum(prior * np.log(prior))
  spread = np.sqrt(np.sum(prior * np.log(prior) ** 2) - entropy**2)
  holds, evidence = True, []
  for name in STUCK:
    settings = _at_all_rates(outcomes, name)
    costs = [stats.mean(each.measured['final_cost']) for each in settings]
    cost = min(costs, key=lambda each: each.value)
    within = 2.576 * spread / np.sqrt(settings[0].config.test_size)
    holds &= bool(abs(cost.value - entropy) < within)
    evidence.append(f'{name.lower()} {claims.told(cost)}')
  return claims.finding(
    holds,
    f'least test cost of all rates: {", ".join(evidence)} nats; the prior has '
    f'{entropy:.4f}, and {settings[0].config.test_size} labels err by '
    f'{within:.4f}',
  )


def _off(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Every interval of the cost lies below what a constant answer costs."""
  holds, evidence = True, []
  for name in FREE:
    row = one_row(outcomes, name)
    cost = glorot2010.simultaneous(row.measured['final_cost'], len(FREE))
    holds &= bool(cost.high < constant_cost(row))
    evidence.append(f'{name.lower()} {claims.told(cost)}')
  return claims.finding(
    holds,
    f'test cost in nats at the chosen rate: {", ".join(evidence)}; a constant '
    f'answer costs {constant_cost(row):.4f}',
  )


# The order of the rows.


def _percent(outcome: base.Outcome) -> np.ndarray:
  """The final test errors, `[S]`."""
  return 100 * np.asarray(outcome.measured['final_error'], float)


def _less(
  outcomes: Sequence[base.Outcome], pairs: Sequence[tuple[str, str]]
) -> base.Finding:
  """Of every pair, the first has the lower test error, by the paper's test."""
  holds, evidence = True, []
  for low, high in pairs:
    a, b = (_percent(one_row(outcomes, name)) for name in (low, high))
    difference = stats.paired_difference(a, b)
    p = stats.permutation_test(a, b).p
    holds &= bool(difference.value < 0 and p < SIGNIFICANT)
    evidence.append(
      f'{low.lower()} - {high.lower()} '
      f'{claims.told(difference)}, '
      f'p = {float(p):.2g}'
    )
  return claims.finding(
    holds,
    f'test error in percent, paired by seed: {"; ".join(evidence)}; tested '
    f'at p = {SIGNIFICANT}',
  )


def _order(low: Sequence[str], high: Sequence[str]) -> glorot2010.Check:
  pairs = tuple(itertools.product(low, high))
  return lambda outcomes: _less(outcomes, pairs)


def _final_order(low: str, high: str) -> glorot2010.Check:
  """As the paper's runs end; of a short one, where they stand."""

  def check(outcomes: Sequence[base.Outcome]) -> base.Finding:
    found = _less(outcomes, ((low, high),))
    row = one_row(outcomes, low)
    long_enough(row, f'so far {found.evidence}')
    return found

  return check


TABLE = (
  base.Claim(
    'table 1: plateau',
    'With standard weights, tanh and sigmoid networks learn nothing of the '
    'images, at any learning rate over three decades.',
    f'{_SOURCE}, table 1 and figure 11, as far as a short run goes',
    _plateau,
  ),
  base.Claim(
    'table 1: 2.110 nats',
    'What they are stuck at is the entropy of the class prior.',
    f"{_SOURCE}, table 1: 82.61%, the prior's error being 83.33%",
    _prior_entropy,
  ),
  base.Claim(
    'table 1: off the plateau',
    'Softsign with either initialization, and tanh with normalized weights, '
    'leave it.',
    f'{_SOURCE}, table 1 and figure 11',
    _off,
  ),
  base.Claim(
    'table 1: order',
    'Softsign, softsign N and tanh N err less than tanh, and than sigmoid.',
    f'{_SOURCE}, table 1, Shapeset-3x2',
    _order(FREE, STUCK),
  ),
  base.Claim(
    'table 1: tanh and sigmoid',
    'Tanh with standard weights errs less than sigmoid.',
    f'{_SOURCE}, table 1, Shapeset-3x2: 27.15% and 82.61%',
    _final_order('Tanh', 'Sigmoid'),
  ),
  base.Claim(
    'table 1: tanh N and softsign',
    'Tanh N errs less than softsign.',
    f'{_SOURCE}, table 1, Shapeset-3x2: 15.60% and 16.27%',
    _final_order('Tanh N', 'Softsign'),
  ),
)


def _four_layers(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Sigmoid networks of two depths, each at its chosen rate."""
  found = {
    len(each.config.layer_widths()) - 2: each
    for each in tuning.chosen(outcomes, *_TUNED)
  }
  if set(found) != {4, 5}:
    raise claims.Untested('four and five hidden layers are not both here')
  difference = glorot2010.simultaneous(
    _percent(found[4]) - _percent(found[5]), 1
  )
  told = claims.told(difference)
  long_enough(found[4], f'so far the difference in percent is {told}')
  return claims.finding(
    bool(difference.high < 0), f'difference in percent: {told}'
  )


DEPTH = (
  base.Claim(
    'table 1: depth of the sigmoid',
    'The sigmoid does better with four hidden layers than with five.',
    f'{_SOURCE}, section 2.3; table 1 says five for all',
    _four_layers,
  ),
)


# Side results.


def _by_curvature(
  outcomes: Sequence[base.Outcome],
) -> dict[tuple[str, str], np.ndarray]:
  """Final test errors in percent of tanh, by optimizer and scheme."""
  found = {
    (each.config.optimizer, each.config.init): _percent(each)
    for each in tuning.chosen(outcomes, *_TUNED)
    if each.config.activation == 'tanh'
  }
  wanted = itertools.product(('sgd', *_SCALED), ('standard', 'glorot'))
  if not set(wanted) <= set(found):
    raise claims.Untested('tanh is not here with every optimizer')
  return found


def _differences(
  errors: Mapping[tuple[str, str], np.ndarray],
  other: tuple[str, str],
) -> tuple[stats.Estimate, str]:
  """Of standard weights with rates by curvature, minus another, `[2]`."""
  own = np.stack([errors[name, 'standard'] for name in _SCALED], axis=1)
  difference = glorot2010.simultaneous(own - errors[other][:, None], 2)
  told = ', '.join(
    f'{name} {claims.told(entry(difference, place))}'
    for place, name in enumerate(_SCALED)
  )
  return difference, told


def _gain(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """One of the two at least errs less than plain gradient descent."""
  difference, told = _differences(_by_curvature(outcomes), ('sgd', 'standard'))
  return claims.finding(
    bool(np.any(difference.high < 0)),
    f'test error in percent, less that of one rate for all: {told}',
  )


def _not_enough(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Both err more than plain gradient descent with normalized weights."""
  difference, told = _differences(_by_curvature(outcomes), ('sgd', 'glorot'))
  return claims.finding(
    bool(np.all(difference.low > 0)),
    'test error in percent, less that of normalized weights and one rate for '
    f'all: {told}',
  )


CURVATURE = (
  base.Claim(
    'curvature: a gain',
    'Learning rates by curvature help a tanh network with standard weights.',
    f'{_SOURCE}, section 5',
    _gain,
  ),
  base.Claim(
    'curvature: not enough',
    'They do not bring it to where normalized weights are.',
    f'{_SOURCE}, section 5',
    _not_enough,
  ),
)

SMALL_IMAGES = (
  base.Claim(
    'figure 12: sigmoid',
    'The sigmoid network errs more than all others.',
    f'{_SOURCE}, figure 12 and table 1',
    _order((*FREE, 'Tanh'), ('Sigmoid',)),
  ),
  base.Claim(
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
  run: Mapping[str, Sequence[base.Outcome]], titles: Mapping[str, str]
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
  run: Mapping[str, Sequence[base.Outcome]], titles: Mapping[str, str]
) -> tables.Table:
  """The paper's test of every pair of rows: p, by signs paired by seed."""
  pairs = list(itertools.combinations(ROWS, 2))
  columns = []
  for dataset, title in titles.items():
    found = rows(run.get(title, ()))
    cells = []
    for pair in pairs:
      if not set(pair) <= set(found):
        cells.append('-')
        continue
      a, b = (found[name].measured['final_error'] for name in pair)
      p = float(stats.permutation_test(a, b).p)
      cells.append(f'{p:.2g}' + ' *' * (p < SIGNIFICANT))
    columns.append(tables.Column(_COLUMNS[dataset], 'p', cells))
  return tables.Table(
    f'Differences of test error in table 1; * below p = {SIGNIFICANT}, without '
    'a correction for being many, as in the paper',
    tables.Column('', 'pair', [' and '.join(pair) for pair in pairs]),
    columns,
  )


def _missing(dataset: str) -> str:
  if dataset not in datasets.DATASETS:
    return 'not available'
  return 'no data' if dataset in datasets.FOLDERS else 'not run'


def _cell(outcome: base.Outcome) -> str:
  return claims.told(stats.mean(_percent(outcome)))
