"""Statements of Glorot & Bengio 2010 about gradients and errors in training.

Those of figures 7, 9 and 11. All are checked on `experiments.learning`, at one
learning rate but for figures 7 and 11, which stand where the rows of `table_1`
do.
"""

import itertools

import numpy as np

from initlab import claims, stats
from initlab.experiment import Outcome

from . import SOURCE, runs, table_1


@claims.claim('figure 7, then on', f'{SOURCE}, section 4.3')
def reversed_order(outcomes):
  """With standard weights back-propagated gradients shrink downward at the
  start; soon this order of the layers is reversed.

  The standard deviation of dC/ds in the first hidden layer is divided by that
  in the last, by seed, and the logarithm averaged over all records after the
  start; for it to be above 0, the order must have turned long before the end.

  Holds if the interval of the ratio lies below 1 at the start, and that of its
  average over the training above 1.

  Untested if tanh with standard weights is not in the run, or is still on the
  plateau of the class prior.
  """

  def log(outcome: Outcome) -> np.ndarray:
    stds = runs.hidden(outcome, 'gradient_std')
    return np.log(stds[:, :, 0] / stds[:, :, -1])

  row = table_1.row(outcomes, 'Tanh')
  start = table_1.mean(row, lambda each: log(each)[:, 0])
  first = table_1.mean(row, lambda each: log(each)[:, 1])
  later = table_1.mean(row, lambda each: log(each)[:, 1:].mean(1))
  told = (
    'the standard deviation of dC/ds in the first hidden layer over that in '
    f'the last is {_exp(start)} at the start, {_exp(first)} after '
    f'{row.outcome.steps[1]} updates, {_exp(later)} on average over the '
    'training'
  )
  runs.require_learning(row.outcome, told)
  return claims.finding(start.high < 0 and later.low > 0, told)


@claims.claim('figure 9', f'{SOURCE}, section 4.2.2 and figure 9')
def gradients_differ(outcomes):
  """During training the weight gradients of the layers differ more with
  standard weights than with normalized ones.

  The largest standard deviation of a hidden layer's weight gradients is divided
  by the smallest, by seed, and the logarithm averaged over all records after
  the start.

  Holds if the interval of the difference of this average, standard less
  normalized weights, lies above 0.

  Untested if tanh with both kinds of weights is not in the run, or with
  standard weights is still on the plateau of the class prior.
  """
  tanh, normalized = (
    claims.one(outcomes, activation='tanh', init=init)
    for init in ('standard', 'glorot')
  )
  ratios = []
  for one in (tanh, normalized):
    spread = runs.hidden(one, 'weight_gradient_std')[:, 1:]
    ratios.append(np.log(spread.max(2) / spread.min(2)).mean(1))
  difference = claims.mean(ratios[0] - ratios[1])
  own, its = (_exp(stats.mean(each)) for each in ratios)
  told = (
    'the largest over the smallest standard deviation of the weight gradients '
    f'of the hidden layers is {own} with standard weights, {its} with '
    'normalized, on average over the training'
  )
  runs.require_learning(tanh, told)
  return claims.finding(difference.low > 0, told)


def _exp(log: stats.Estimate) -> stats.Estimate:
  """The estimate of what a logarithm was estimated of."""
  value, low, high = map(np.exp, log[:3])
  return log._replace(value=value, low=low, high=high)


@claims.claim('figure 11', f'{SOURCE}, figure 11')
def ahead_throughout(outcomes):
  """Throughout the training tanh N and softsign, with either initialization,
  are ahead of tanh and sigmoid.

  Each network stands at the learning rate that validation chooses; its test
  errors are averaged over all records after the start, by seed.

  Holds if of all six pairs the interval of the difference, of a network that
  the paper has ahead less one that it has behind, lies below 0.

  Untested if one of the five networks is not in the run.
  """
  average = lambda each: 100 * each.measured['error'][:, 1:].mean(1)
  holds, told = True, []
  for low, high in itertools.product(table_1.FREE, table_1.STUCK):
    a, b = (table_1.row(outcomes, name) for name in (low, high))
    less = table_1.difference(a, b, average).difference
    holds &= bool(less.high < 0)
    told.append(f'{low.lower()} - {high.lower()} {less}')
  return claims.finding(
    holds, f'mean over the training, in percent: {"; ".join(told)}'
  )


FIGURE_7 = (reversed_order,)
FIGURE_9 = (gradients_differ,)
FIGURE_11 = (ahead_throughout,)
