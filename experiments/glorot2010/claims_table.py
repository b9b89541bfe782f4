"""Statements of Glorot & Bengio 2010 about where training ends: table 1.

All are checked on `experiments.learning`, one network size in a run; rows and
their learning rates are those of `table_1`. The paper trains for 5 million
updates; what it says of their end is not tested by a run of less than a
million.

Intervals are widened as in `claims`, so that all of one statement cover with a
probability of 99%. What has too few finite seeds for an interval neither
supports a statement nor refutes it: the statement is not tested.
"""

from collections.abc import Iterable, Sequence
import itertools

from initlab import claims, stats
from initlab.experiment import Finding, Outcome

from . import SOURCE, runs, table_1

# The order of the rows.


@claims.claim('table 1: order', f'{SOURCE}, table 1, Shapeset-3x2')
def order(outcomes):
  """Softsign, softsign N and tanh N err less than tanh, and than sigmoid.

  The paper calls a difference significant at p = 0.005, without a correction
  for being many, and so does this; one that is not, or is the other way round,
  refutes the order.

  Holds if of every pair the first has the lower mean test error at its chosen
  rate, with a p below 0.005 of the permutation test by seed.

  Untested if one of the rows is not in the run, or fewer than nine seeds are
  finite in both rows of a pair: too few for such a p.
  """
  return _less(outcomes, itertools.product(table_1.FREE, table_1.STUCK))


@claims.claim(
  'table 1: tanh and sigmoid',
  f'{SOURCE}, table 1, Shapeset-3x2: 27.15% and 82.61%',
)
def tanh_and_sigmoid(outcomes):
  """Tanh with standard weights errs less than sigmoid.

  Holds if it has the lower mean test error, by the test of 'table 1: order'.

  Untested as 'table 1: order', or if they learn for less than a million
  updates: the paper tells of 5 million.
  """
  return _less_in_the_end(outcomes, 'Tanh', 'Sigmoid')


@claims.claim(
  'table 1: tanh N and softsign',
  f'{SOURCE}, table 1, Shapeset-3x2: 15.60% and 16.27%',
)
def tanh_and_softsign(outcomes):
  """Tanh N errs less than softsign.

  Holds if it has the lower mean test error, by the test of 'table 1: order'.

  Untested as 'table 1: order', or if they learn for less than a million
  updates: the paper tells of 5 million.
  """
  return _less_in_the_end(outcomes, 'Tanh N', 'Softsign')


@claims.claim('figure 12: sigmoid', f'{SOURCE}, figure 12 and table 1')
def sigmoid_last(outcomes):
  """The sigmoid network errs more than all others.

  Holds if each other row has the lower mean test error, by the test of 'table
  1: order'.

  Untested as 'table 1: order'.
  """
  return _less(
    outcomes, [(name, 'Sigmoid') for name in (*table_1.FREE, 'Tanh')]
  )


@claims.claim('figure 12: tanh', f'{SOURCE}, figure 12 and table 1')
def tanh_normalized(outcomes):
  """Tanh errs less with normalized weights.

  Holds if it has the lower mean test error, by the test of 'table 1: order'.

  Untested as 'table 1: order'.
  """
  return _less(outcomes, [('Tanh N', 'Tanh')])


def _less(
  outcomes: Sequence[Outcome], pairs: Iterable[tuple[str, str]]
) -> Finding:
  """Whether the first of every pair errs less, by the paper's test."""
  pairs = list(pairs)
  holds, told = True, []
  for low, high in pairs:
    a, b = (table_1.row(outcomes, name) for name in (low, high))
    less, p = table_1.difference(a, b, table_1.percent, len(pairs))
    if less.n < table_1.PAIRS:
      raise claims.Untested(
        f'p below {table_1.SIGNIFICANT} needs {table_1.PAIRS} pairs of seeds, '
        f'not {less.n}'
      )
    holds &= bool(less.value < 0 and p < table_1.SIGNIFICANT)
    told.append(f'{low.lower()} - {high.lower()} {less}, p = {p:.2g}')
  return claims.finding(
    holds,
    f'test error in percent, paired by seed: {"; ".join(told)}; tested at '
    f'p = {table_1.SIGNIFICANT}',
  )


def _less_in_the_end(
  outcomes: Sequence[Outcome], low: str, high: str
) -> Finding:
  found = _less(outcomes, [(low, high)])
  row = table_1.row(outcomes, low)
  runs.require_long(row.outcome, f'so far {found.evidence}')
  return found


@claims.claim(
  'table 1: depth of the sigmoid',
  f'{SOURCE}, section 2.3; table 1 says five for all',
)
def four_layers(outcomes):
  """The sigmoid does better with four hidden layers than with five.

  Holds if the interval of the test error of four less that of five, at the
  chosen rates and paired by seed, lies below 0.

  Untested if not both depths are in the run, fewer than five seeds are finite
  in both, or they learn for less than a million updates.
  """
  found = {
    len(each.outcome.config.layer_widths()) - 2: each
    for each in table_1.choices(outcomes)
  }
  if set(found) != {4, 5}:
    raise claims.Untested('four and five hidden layers are not both here')
  less = table_1.difference(found[4], found[5], table_1.percent).difference
  told = f'the difference in percent is {less}'
  runs.require_long(found[4].outcome, f'so far {told}')
  return claims.finding(less.high < 0, told)


# Side results.

_SCALED = ('rmsprop', 'curvature')  # by gradient variance, by Hessian


@claims.claim('curvature: a gain', f'{SOURCE}, section 5')
def curvature_gains(outcomes):
  """Learning rates by curvature help a tanh network with standard weights.

  Holds if one at least of two intervals of a difference of test errors lies
  below 0: with rates by gradient variance and by Hessian, less plain gradient
  descent, all with standard weights, paired by seed, each at its chosen rate.

  Untested if tanh is not in the run with every optimizer and both kinds of
  weights, or fewer than five seeds are finite in both of a difference.
  """
  less, told = _by_curvature(outcomes, 'standard')
  return claims.finding(
    any(each.high < 0 for each in less),
    f'test error in percent, less that of one rate for all: {told}',
  )


@claims.claim('curvature: not enough', f'{SOURCE}, section 5')
def curvature_is_not_enough(outcomes):
  """They do not bring it to where normalized weights are.

  Holds if both intervals of these differences lie above 0, when what is
  subtracted is plain gradient descent with normalized weights.

  Untested as 'curvature: a gain'.
  """
  less, told = _by_curvature(outcomes, 'glorot')
  return claims.finding(
    all(each.low > 0 for each in less),
    'test error in percent, less that of normalized weights and one rate for '
    f'all: {told}',
  )


def _by_curvature(
  outcomes: Sequence[Outcome], init: str
) -> tuple[list[stats.Estimate], str]:
  """Test errors of tanh, standard weights, less those of plain descent.

  Args:
    outcomes: of tanh with every optimizer and scheme.
    init: the scheme of plain descent.

  Returns:
    The differences in percent, in the order of _SCALED, and as text.
  """
  found = {
    (each.outcome.config.optimizer, each.outcome.config.init): each
    for each in table_1.choices(outcomes)
    if each.outcome.config.activation == 'tanh'
  }
  wanted = itertools.product(('sgd', *_SCALED), ('standard', 'glorot'))
  if not set(wanted) <= set(found):
    raise claims.Untested('tanh is not here with every optimizer')
  plain = found['sgd', init]
  less = {
    name: table_1.difference(
      found[name, 'standard'], plain, table_1.percent, 2
    ).difference
    for name in _SCALED
  }
  told = ', '.join(f'{name} {each}' for name, each in less.items())
  return list(less.values()), told


TABLE = (order, tanh_and_sigmoid, tanh_and_softsign)
DEPTH = (four_layers,)
CURVATURE = (curvature_gains, curvature_is_not_enough)
SMALL_IMAGES = (sigmoid_last, tanh_normalized)
