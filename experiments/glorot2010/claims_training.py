"""Statements of Glorot & Bengio 2010 about layers and errors in training.

Those of figures 2 to 4, 7 and 9 to 11. All are checked on
`experiments.learning`, at one learning rate but for figures 7 and 11, which
stand where the rows of table 1 do. Intervals are those of `claims`; what is
left to a long run is as in `glorot2010_table`.
"""

from collections.abc import Sequence
import itertools

import numpy as np

from initlab import claims, stats
from initlab.experiment import Claim, Finding, Outcome

from . import claims_start, claims_table

_SOURCE = claims_start.SOURCE


def _hidden(outcome: Outcome, field: str) -> np.ndarray:
  """`[S, T, hidden layers]`."""
  return outcome.measured[field][:, :, :-1]


def _off_it(outcome: Outcome, why: str) -> None:
  """A network that learns nothing shows nothing of how layers learn.

  Raises:
    Untested: the interval of its cost does not lie below that of a constant
      answer.
  """
  cost = claims.mean(outcome.measured['final_cost'])
  if not cost.high < claims_table.constant_cost(outcome):
    raise claims.Untested(
      'tanh with standard weights is on the plateau of the class prior, with a '
      f'test cost of {claims.told(cost)} nats after '
      f'{outcome.steps[-1]} updates; so far {why}'
    )


def _factor(log: stats.Estimate) -> str:
  """The estimate of a logarithm, as text, of what it is the logarithm of."""
  value, low, high = map(np.exp, log[:3])
  return claims.told(log._replace(value=value, low=low, high=high))


# Figure 2.


_SOON = 50_000  # updates, one hundredth of the paper's
_LOW = 0.1  # of the sigmoid, where its slope is 0.09, a third of the largest


def _soon(outcome: Outcome) -> int:
  """The place of the last record that is still soon.

  Raises:
    Untested: that is the start.
  """
  last = int(np.flatnonzero(np.array(outcome.steps) <= _SOON)[-1])
  if not last:
    raise claims.Untested(f'nothing is recorded up to update {_SOON}')
  return last


def _top_falls(outcomes: Sequence[Outcome]) -> Finding:
  """The mean of the top hidden layer, which starts at one half.

  Holds if its interval over seeds lies below 0.1 at the last record within the
  first 50,000 updates, one hundredth of the paper's: below 0.1 the sigmoid has
  lost two thirds of its slope.

  Untested if the sigmoid with standard weights is not in the run, or nothing is
  recorded between the start and update 50,000.
  """
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  means, last = _hidden(one, 'activation_mean'), _soon(one)
  top = claims.mean(means[:, last, -1])
  start = stats.mean(means[:, 0, -1])
  return claims.finding(
    bool(top.high < _LOW),
    f'mean of the top hidden layer {claims.told(start)} at the start, '
    f'{claims.told(top)} after {one.steps[last]} updates',
  )


def _above_half(outcomes: Sequence[Outcome]) -> Finding:
  """The means of the hidden layers below the top, while that is saturated.

  Holds if all intervals over seeds lie above 0.5 at the last record within the
  first 50,000 updates.

  Untested if the sigmoid with standard weights is not in the run, has less than
  three hidden layers, or is not recorded between the start and update 50,000.
  """
  means, told = _middle_layers(outcomes)
  return claims.finding(bool(np.all(claims.mean(means).low > 0.5)), told)


def _upward(outcomes: Sequence[Outcome]) -> Finding:
  """The mean of each hidden layer below the top less that of the one below it.

  Holds if all intervals of the differences, by seed, lie above 0 at the last
  record within the first 50,000 updates.

  Untested if the sigmoid with standard weights is not in the run, has less than
  three hidden layers, or is not recorded between the start and update 50,000.
  """
  means, told = _middle_layers(outcomes)
  steps = claims.mean(np.diff(means, axis=1))
  return claims.finding(bool(np.all(steps.low > 0)), told)


def _middle_layers(
  outcomes: Sequence[Outcome],
) -> tuple[np.ndarray, str]:
  """The means of the layers below the top, `[S, layers]`, and as text."""
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  last = _soon(one)
  means = _hidden(one, 'activation_mean')[:, last, :-1]
  if means.shape[1] < 2:
    raise claims.Untested('no two hidden layers below the top one')
  level = claims.mean(means)
  named = ', '.join(
    f'layer {layer + 1} {claims.told(claims_table.entry(level, layer))}'
    for layer in range(means.shape[1])
  )
  return means, f'after {one.steps[last]} updates: {named}'


def _escapes(outcomes: Sequence[Outcome]) -> Finding:
  """The mean of the top hidden layer, at its least and at the end.

  The least is found on the same records, so that the end is never below it;
  hence a rise counts only from saturation, and if it is as large as that.

  Holds if the interval of the least lies below 0.1, and that of the rise from
  there to the end, by seed, above 0.1.

  Untested if the sigmoid with standard weights is not in the run, or learns for
  less than a million updates: in the paper it takes 2 million.
  """
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  claims_table.long_enough(one, 'in the paper it takes some 2 million')
  top = _hidden(one, 'activation_mean')[:, :, -1]
  least = claims.mean(top.min(axis=1))
  rise = claims.mean(top[:, -1] - top.min(axis=1))
  return claims.finding(
    bool(least.high < _LOW and rise.low > _LOW),
    f'its mean is {claims.told(least)} at the least, and rises by '
    f'{claims.told(rise)} from there',
  )


FIGURE_2 = (
  Claim(
    'figure 2: top layer',
    'The activations of the top hidden layer of a sigmoid network are soon '
    'pushed to 0.',
    f'{_SOURCE}, section 3.1',
    _top_falls,
  ),
  Claim(
    'figure 2: above a half',
    'Those of the layers below it have a mean above 0.5.',
    f'{_SOURCE}, section 3.1',
    _above_half,
  ),
  Claim(
    'figure 2: order',
    'These means decrease from the output towards the input.',
    f'{_SOURCE}, section 3.1',
    _upward,
  ),
  Claim(
    'figure 2: escape',
    'With four hidden layers the top one leaves its saturation in the end.',
    f'{_SOURCE}, section 3.1: around epoch 100',
    _escapes,
  ),
)


# Figures 3, 4 and 10.

_SATURATED = 0.95  # of |z|, where tanh has a slope below a tenth


def _one_after_the_other(outcomes: Sequence[Outcome]) -> Finding:
  """The steps at which the layers' 98th percentiles of |z| first pass 0.95.

  A seed saturates in order where the first hidden layer passes, no layer passes
  before the one below it, and the last one later than the first, or never.

  Holds if the interval of the share of such seeds lies above one half.

  Untested if tanh with standard weights is not in the run, or learns for less
  than a million updates.
  """
  one = claims.one(outcomes, activation='tanh', init='standard')
  edges = _hidden(one, 'activation_percentile')
  last = claims.mean(edges[:, -1])
  told = ', '.join(
    claims.told(claims_table.entry(last, layer))
    for layer in range(edges.shape[2])
  )
  claims_table.long_enough(
    one, f'98th percentiles of |z|, from the input, are {told}'
  )
  steps = np.asarray(one.steps, float)
  passed = edges > _SATURATED
  when = np.where(passed.any(1), steps[passed.argmax(1)], np.inf)
  ordered = np.all(when[:, :-1] <= when[:, 1:], axis=1)
  share = claims.share(ordered & (when[:, 0] < when[:, -1]))
  return claims.finding(
    bool(share.low > 0.5),
    f'seeds whose layers saturate in order: {claims.told(share, "%")}',
  )


def _closer_together(activation: str, init: str) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The range over hidden layers of the 98th percentile of |z|, at the end.

    In units of the mean of the layers, so that smaller activations are no
    argument.

    Holds if the interval of its difference from that of tanh with standard
    weights, whose layers move one after the other, lies below 0, by seed.

    Untested if one of the two networks is not in the run, or tanh with standard
    weights is still on the plateau of the class prior.
    """
    spreads = []
    for name, scheme in ((activation, init), ('tanh', 'standard')):
      one = claims.one(outcomes, activation=name, init=scheme)
      edges = _hidden(one, 'activation_percentile')[:, -1]
      spreads.append(np.ptp(edges, axis=1) / edges.mean(axis=1))
    difference = claims.mean(spreads[0] - spreads[1])
    mine, its = map(stats.mean, spreads)
    words = (
      "the range over the layers of |z|'s 98th percentile, over their mean, is "
      f'{claims.told(mine)}, of tanh with standard weights {claims.told(its)}'
    )
    _off_it(one, words)
    return claims.finding(bool(difference.high < 0), words)

  return check


def _end_of_learning(activation: str, low: float, high: float) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The first hidden layer's share of |z| from low to high, and beyond it.

    Holds if the interval of the share lies above a fifth, and that of what it
    exceeds the share beyond by above 0. A uniform |z| would have a fifth at
    softsign's knees, 0.6 to 0.8, and a twentieth at tanh's ends, beyond 0.95.

    Untested if the network with standard weights is not in the run, or learns
    for less than a million updates.
    """
    one = claims.one(outcomes, activation=activation, init='standard')
    size = np.abs(one.measured['activation_sample'][:, 0])
    there = np.where(
      np.isfinite(size).all(1),
      ((size >= low) & (size <= high)).mean(1),
      np.nan,
    )
    beyond = np.where(np.isfinite(there), (size > high).mean(1), np.nan)
    share = claims.mean(there)
    words = (
      f'share of the first layer with |z| from {low} to {high}: '
      f'{claims.told(share, "%")}'
    )
    claims_table.long_enough(one, words)
    ahead = claims.mean(there - beyond)
    return claims.finding(bool(share.low > 0.2 and ahead.low > 0), words)

  return check


FIGURE_3 = (
  Claim(
    'figure 3: tanh',
    'The layers of a tanh network saturate one after the other, the first one '
    'first.',
    f'{_SOURCE}, section 3.2 and figure 3, top',
    _one_after_the_other,
  ),
  Claim(
    'figure 3: softsign',
    'The layers of a softsign network move together, not one after the other.',
    f'{_SOURCE}, section 3.3 and figure 3, bottom',
    _closer_together('softsign', 'standard'),
  ),
)

FIGURE_4 = (
  Claim(
    'figure 4: tanh',
    'At the end the lower layers of a tanh network sit at -1 and 1.',
    f'{_SOURCE}, section 3.3 and figure 4, top',
    _end_of_learning('tanh', _SATURATED, 1.0),
  ),
  Claim(
    'figure 4: softsign',
    'Those of a softsign network sit about 0.6 to 0.8, at its knees, and not '
    'beyond.',
    f'{_SOURCE}, section 3.3 and figure 4, bottom',
    _end_of_learning('softsign', 0.6, 0.8),
  ),
)

FIGURE_10 = (
  Claim(
    'figure 10',
    'With normalized weights the layers of a tanh network move together, as '
    "softsign's do.",
    f'{_SOURCE}, section 4.3 and figure 10',
    _closer_together('tanh', 'glorot'),
  ),
)


# Figure 7, and on.


def _reversed(outcomes: Sequence[Outcome]) -> Finding:
  """The standard deviation of dC/ds, first hidden layer over last, by seed.

  The average is of the logarithm, over all records after the start; for it to
  be above 0, the order must have turned long before the end.

  Holds if the interval of the ratio lies below 1 at the start, and that of its
  average over the training above 1.

  Untested if tanh with standard weights is not in the run, or is still on the
  plateau of the class prior.
  """
  row = claims_table.one_row(outcomes, 'Tanh')
  tanh = row.outcome

  def log(outcome: Outcome) -> np.ndarray:
    stds = _hidden(outcome, 'gradient_std')
    return np.log(stds[:, :, 0] / stds[:, :, -1])

  start = claims_table.mean(row, lambda each: log(each)[:, 0])
  first = claims_table.mean(row, lambda each: log(each)[:, 1])
  later = claims_table.mean(row, lambda each: log(each)[:, 1:].mean(1))
  words = (
    'the standard deviation of dC/ds in the first hidden layer over that in '
    f'the last is {_factor(start)} at the start, {_factor(first)} after '
    f'{tanh.steps[1]} updates, {_factor(later)} on average over the training'
  )
  _off_it(tanh, words)
  return claims.finding(bool(start.high < 0 and later.low > 0), words)


FIGURE_7 = (
  Claim(
    'figure 7, then on',
    'With standard weights back-propagated gradients shrink downward at the '
    'start; soon this order of the layers is reversed.',
    f'{_SOURCE}, section 4.3',
    _reversed,
  ),
)


# Figure 9.


def _gradients_differ(outcomes: Sequence[Outcome]) -> Finding:
  """The largest over the smallest hidden layer's weight gradients, by seed.

  Of standard deviations, the logarithm averaged over all records after the
  start.

  Holds if the interval of the difference of this average, standard less
  normalized weights, lies above 0.

  Untested if tanh with both kinds of weights is not in the run, or with
  standard weights is still on the plateau of the class prior.
  """
  ratios = []
  for init in ('standard', 'glorot'):
    one = claims.one(outcomes, activation='tanh', init=init)
    spread = _hidden(one, 'weight_gradient_std')[:, 1:]
    ratios.append(np.log(spread.max(2) / spread.min(2)).mean(1))
  standard, normalized = (stats.mean(each) for each in ratios)
  difference = claims.mean(ratios[0] - ratios[1])
  words = (
    'the largest over the smallest standard deviation of the weight gradients '
    f'of the hidden layers is {_factor(standard)} with standard weights, '
    f'{_factor(normalized)} with normalized, on average over the training'
  )
  _off_it(claims.one(outcomes, activation='tanh', init='standard'), words)
  return claims.finding(bool(difference.low > 0), words)


FIGURE_9 = (
  Claim(
    'figure 9',
    'During training the weight gradients of the layers differ more with '
    'standard weights than with normalized ones.',
    f'{_SOURCE}, section 4.2.2 and figure 9',
    _gradients_differ,
  ),
)


# Figure 11.


def _faster(outcomes: Sequence[Outcome]) -> Finding:
  """The test errors averaged over all records after the start, by seed.

  Each network stands at the learning rate that validation chooses.

  Holds if of all six pairs the interval of the difference, of a network that
  the paper has ahead less one that it has behind, lies below 0.

  Untested if one of the five networks is not in the run.
  """
  pairs = tuple(itertools.product(claims_table.FREE, claims_table.STUCK))
  holds, evidence = True, []
  for low, high in pairs:
    a, b = (claims_table.one_row(outcomes, name) for name in (low, high))
    difference = claims_table.difference(
      a, b, lambda each: 100 * each.measured['error'][:, 1:].mean(1)
    ).difference
    holds &= bool(difference.high < 0)
    told = claims.told(difference)
    evidence.append(f'{low.lower()} - {high.lower()} {told}')
  return claims.finding(
    holds, f'mean over the training, in percent: {"; ".join(evidence)}'
  )


FIGURE_11 = (
  Claim(
    'figure 11',
    'Throughout the training tanh N and softsign, with either initialization, '
    'are ahead of tanh and sigmoid.',
    f'{_SOURCE}, figure 11',
    _faster,
  ),
)
