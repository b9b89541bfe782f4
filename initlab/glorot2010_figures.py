"""Statements of Glorot & Bengio 2010 about layers and errors in training.

Those of figures 2 to 4, 7 and 9 to 11. All are checked on
`experiments.learning`, at one learning rate but for figures 7 and 11, which
stand where the rows of table 1 do. Intervals, and what is left to a long run,
are as in `glorot2010_table`.
"""

from collections.abc import Sequence
import itertools

import numpy as np

from initlab import base, claims, glorot2010, stats
from initlab import glorot2010_table as table

_SOURCE = glorot2010.SOURCE


def _hidden(outcome: base.Outcome, field: str) -> np.ndarray:
  """`[S, T, hidden layers]`."""
  return outcome.measured[field][:, :, :-1]


def _off_it(outcome: base.Outcome, why: str) -> None:
  """A network that learns nothing shows nothing of how layers learn."""
  cost = glorot2010.simultaneous(outcome.measured['final_cost'], 1)
  if not cost.high < table.constant_cost(outcome):
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


def _top_falls(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """From 1/2 to less than a tenth, in one hundredth of the paper's updates."""
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  means = _hidden(one, 'activation_mean')
  early = np.array([step <= 50_000 for step in one.steps])
  last = int(np.flatnonzero(early)[-1])
  top = glorot2010.simultaneous(means[:, last, -1], 1)
  start = stats.mean(means[:, 0, -1])
  return claims.finding(
    bool(top.high < 0.1),
    f'mean of the top hidden layer {claims.told(start)} at the start, '
    f'{claims.told(top)} after {one.steps[last]} updates',
  )


def _above_half(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Each layer below the top, at the end of the run."""
  means, told = _middle_layers(outcomes)
  level = glorot2010.simultaneous(means, means.shape[1])
  return claims.finding(bool(np.all(level.low > 0.5)), told)


def _upward(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Each layer below the top less the one below it, paired by seed."""
  means, told = _middle_layers(outcomes)
  steps = glorot2010.simultaneous(np.diff(means, axis=1), means.shape[1] - 1)
  return claims.finding(bool(np.all(steps.low > 0)), told)


def _middle_layers(
  outcomes: Sequence[base.Outcome],
) -> tuple[np.ndarray, str]:
  """The means of the layers below the top, `[S, layers]`, and as text."""
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  means = _hidden(one, 'activation_mean')[:, -1, :-1]
  level = glorot2010.simultaneous(means, means.shape[1])
  named = ', '.join(
    f'layer {layer + 1} {claims.told(table.entry(level, layer))}'
    for layer in range(means.shape[1])
  )
  return means, f'after {one.steps[-1]} updates: {named}'


def _escapes(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """The top layer's mean, at the end over where it was least."""
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  table.long_enough(one, 'in the paper it takes some 2 million')
  top = _hidden(one, 'activation_mean')[:, :, -1]
  rise = glorot2010.simultaneous(top[:, -1] - top.min(axis=1), 1)
  return claims.finding(
    bool(rise.low > 0.1),
    f'rise of its mean from its least: {claims.told(rise)}',
  )


FIGURE_2 = (
  base.Claim(
    'figure 2: top layer',
    'The activations of the top hidden layer of a sigmoid network are soon '
    'pushed to 0.',
    f'{_SOURCE}, section 3.1',
    _top_falls,
  ),
  base.Claim(
    'figure 2: above a half',
    'Those of the layers below it have a mean above 0.5.',
    f'{_SOURCE}, section 3.1',
    _above_half,
  ),
  base.Claim(
    'figure 2: order',
    'These means decrease from the output towards the input.',
    f'{_SOURCE}, section 3.1',
    _upward,
  ),
  base.Claim(
    'figure 2: escape',
    'With four hidden layers the top one leaves its saturation in the end.',
    f'{_SOURCE}, section 3.1: around epoch 100',
    _escapes,
  ),
)


# Figures 3, 4 and 10.

_SATURATED = 0.95  # of |z|, where tanh has a slope below a tenth


def _one_after_the_other(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """The steps at which the layers' 98th percentiles first pass 0.95."""
  one = claims.one(outcomes, activation='tanh', init='standard')
  edges = _hidden(one, 'activation_percentile')
  last = glorot2010.simultaneous(edges[:, -1], edges.shape[2])
  told = ', '.join(
    claims.told(table.entry(last, layer)) for layer in range(edges.shape[2])
  )
  table.long_enough(one, f'98th percentiles of |z|, from the input, are {told}')
  steps = np.asarray(one.steps, float)
  passed = edges > _SATURATED
  when = np.where(passed.any(1), steps[passed.argmax(1)], np.inf)
  first = when[:, :-1] <= when[:, 1:]
  share = stats.share(int(first.all(1).sum()), len(first))
  return claims.finding(
    bool(share.low > 0.5),
    f'seeds whose layers saturate in order: {claims.told(share, "%")}',
  )


def _closer_together(activation: str, init: str) -> glorot2010.Check:
  """The range over hidden layers of their 98th percentiles, against tanh's.

  In units of the mean of the layers, so that smaller activations are no
  argument.
  """

  def check(outcomes: Sequence[base.Outcome]) -> base.Finding:
    spreads = []
    for name, scheme in ((activation, init), ('tanh', 'standard')):
      one = claims.one(outcomes, activation=name, init=scheme)
      edges = _hidden(one, 'activation_percentile')[:, -1]
      spreads.append(np.ptp(edges, axis=1) / edges.mean(axis=1))
    difference = glorot2010.simultaneous(spreads[0] - spreads[1], 1)
    mine, its = map(stats.mean, spreads)
    words = (
      "the range over the layers of |z|'s 98th percentile, over their mean, is "
      f'{claims.told(mine)}, of tanh with standard weights {claims.told(its)}'
    )
    _off_it(one, words)
    return claims.finding(bool(difference.high < 0), words)

  return check


def _end_of_learning(
  activation: str, low: float, high: float, saturated: bool
) -> glorot2010.Check:
  """The share of lower-layer activations in the place that the paper names."""

  def check(outcomes: Sequence[base.Outcome]) -> base.Finding:
    one = claims.one(outcomes, activation=activation, init='standard')
    size = np.abs(one.measured['activation_sample'][:, 0])
    there = np.where(
      np.isfinite(size).all(1),
      ((size >= low) & (size <= high)).mean(1),
      np.nan,
    )
    beyond = np.where(np.isfinite(there), (size > high).mean(1), np.nan)
    share = glorot2010.simultaneous(there, 2)
    words = (
      f'share of the first layer with |z| from {low} to {high}: '
      f'{claims.told(share, "%")}'
    )
    table.long_enough(one, words)
    ahead = glorot2010.simultaneous(there - beyond, 2)
    holds = share.low > 0.2 if saturated else ahead.low > 0
    return claims.finding(bool(holds), words)

  return check


FIGURE_3 = (
  base.Claim(
    'figure 3: tanh',
    'The layers of a tanh network saturate one after the other, the first one '
    'first.',
    f'{_SOURCE}, section 3.2 and figure 3, top',
    _one_after_the_other,
  ),
  base.Claim(
    'figure 3: softsign',
    'The layers of a softsign network move together, not one after the other.',
    f'{_SOURCE}, section 3.3 and figure 3, bottom',
    _closer_together('softsign', 'standard'),
  ),
)

FIGURE_4 = (
  base.Claim(
    'figure 4: tanh',
    'At the end the lower layers of a tanh network sit at -1 and 1.',
    f'{_SOURCE}, section 3.3 and figure 4, top',
    _end_of_learning('tanh', _SATURATED, 1.0, saturated=True),
  ),
  base.Claim(
    'figure 4: softsign',
    'Those of a softsign network sit about 0.6 to 0.8, at its knees, and not '
    'beyond.',
    f'{_SOURCE}, section 3.3 and figure 4, bottom',
    _end_of_learning('softsign', 0.6, 0.8, saturated=False),
  ),
)

FIGURE_10 = (
  base.Claim(
    'figure 10',
    'With normalized weights the layers of a tanh network move together, as '
    "softsign's do.",
    f'{_SOURCE}, section 4.3 and figure 10',
    _closer_together('tanh', 'glorot'),
  ),
)


# Figure 7, and on.


def _reversed(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """First over last hidden layer: below 1 at the start, above it on average.

  The average is of the logarithm, over all records after the start; for it to
  be above 0, the order must have turned long before the end.
  """
  tanh = table.one_row(outcomes, 'Tanh')
  stds = _hidden(tanh, 'gradient_std')
  log = np.log(stds[:, :, 0] / stds[:, :, -1])
  start, later, first = (
    glorot2010.simultaneous(each, 2)
    for each in (log[:, 0], log[:, 1:].mean(1), log[:, 1])
  )
  words = (
    'the deviation of dC/ds in the first hidden layer over that in the last is '
    f'{_factor(start)} at the start, {_factor(first)} after {tanh.steps[1]} '
    f'updates, {_factor(later)} on average over the training'
  )
  _off_it(tanh, words)
  return claims.finding(bool(start.high < 0 and later.low > 0), words)


FIGURE_7 = (
  base.Claim(
    'figure 7, then on',
    'With standard weights back-propagated gradients shrink downward at the '
    'start; soon this order of the layers is reversed.',
    f'{_SOURCE}, section 4.3',
    _reversed,
  ),
)


# Figure 9.


def _gradients_differ(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Largest over smallest layer, after the start: standard over normalized."""
  ratios = []
  for init in ('standard', 'glorot'):
    one = claims.one(outcomes, activation='tanh', init=init)
    spread = _hidden(one, 'weight_gradient_std')[:, 1:]
    ratios.append(np.log(spread.max(2) / spread.min(2)).mean(1))
  standard, normalized = (stats.mean(each) for each in ratios)
  difference = glorot2010.simultaneous(ratios[0] - ratios[1], 1)
  words = (
    'the largest over the smallest deviation of the weight gradients of the '
    f'hidden layers is {_factor(standard)} with standard weights, '
    f'{_factor(normalized)} with normalized, on average over the training'
  )
  _off_it(claims.one(outcomes, activation='tanh', init='standard'), words)
  return claims.finding(bool(difference.low > 0), words)


FIGURE_9 = (
  base.Claim(
    'figure 9',
    'During training the weight gradients of the layers differ more with '
    'standard weights than with normalized ones.',
    f'{_SOURCE}, section 4.2.2 and figure 9',
    _gradients_differ,
  ),
)


# Figure 11.


def _faster(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Test errors averaged over the training, paired by seed."""
  pairs = tuple(itertools.product(table.FREE, table.STUCK))
  holds, evidence = True, []
  for low, high in pairs:
    a, b = (
      100 * table.one_row(outcomes, name).measured['error'][:, 1:].mean(1)
      for name in (low, high)
    )
    difference = glorot2010.simultaneous(a - b, len(pairs))
    holds &= bool(difference.high < 0)
    told = claims.told(difference)
    evidence.append(f'{low.lower()} - {high.lower()} {told}')
  return claims.finding(
    holds, f'mean over the training, in percent: {"; ".join(evidence)}'
  )


FIGURE_11 = (
  base.Claim(
    'figure 11',
    'Throughout the training tanh N and softsign, with either initialization, '
    'are ahead of tanh and sigmoid.',
    f'{_SOURCE}, figure 11',
    _faster,
  ),
)
