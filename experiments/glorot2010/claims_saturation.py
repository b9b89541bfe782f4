"""Statements of Glorot & Bengio 2010 about how layers saturate in training.

Those of figures 2 to 4 and 10. All are checked on `experiments.learning`, at
one learning rate. What the paper says of the end of training is not tested by
less than a million updates.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims, stats
from initlab.experiment import Finding, Outcome

from . import SOURCE, runs

# Figure 2.

_SOON = 50_000  # updates, one hundredth of the paper's
_LOW = 0.1  # of the sigmoid, where its slope is 0.09, a third of the largest


@claims.claim('figure 2: top layer', f'{SOURCE}, section 3.1')
def top_falls(outcomes):
  """The activations of the top hidden layer of a sigmoid network are soon
  pushed to 0.

  Holds if the interval of its mean, which starts at one half, lies below 0.1 at
  the last record within the first 50,000 updates, one hundredth of the paper's:
  below 0.1 the sigmoid has lost two thirds of its slope.

  Untested if the sigmoid with standard weights is not in the run, or nothing is
  recorded between the start and update 50,000.
  """
  one, means, last = _sigmoid(outcomes)
  top = claims.mean(means[:, last, -1])
  return claims.finding(
    top.high < _LOW,
    f'mean of the top hidden layer {stats.mean(means[:, 0, -1])} at the start, '
    f'{top} after {one.steps[last]} updates',
  )


@claims.claim('figure 2: above a half', f'{SOURCE}, section 3.1')
def above_half(outcomes):
  """Those of the layers below it have a mean above 0.5.

  Holds if all intervals over seeds of their means lie above 0.5 at the last
  record within the first 50,000 updates.

  Untested if the sigmoid with standard weights is not in the run, has less than
  three hidden layers, or is not recorded between the start and update 50,000.
  """
  means, told = _below_the_top(outcomes)
  return claims.finding(np.all(claims.mean(means).low > 0.5), told)


@claims.claim('figure 2: order', f'{SOURCE}, section 3.1')
def upward(outcomes):
  """These means decrease from the output towards the input.

  Holds if all intervals of the differences of a layer's mean and that of the
  layer below it, by seed, lie above 0 at the same record.

  Untested as 'figure 2: above a half'.
  """
  means, told = _below_the_top(outcomes)
  steps = claims.mean(np.diff(means, axis=1))
  return claims.finding(np.all(steps.low > 0), told)


@claims.claim('figure 2: escape', f'{SOURCE}, section 3.1: around epoch 100')
def escapes(outcomes):
  """With four hidden layers the top one leaves its saturation in the end.

  The least of its mean is found on the same records, so the end is never below
  it; hence a rise counts only from saturation, and if it is as large as that.

  Holds if the interval of the least lies below 0.1, and that of the rise from
  there to the end, by seed, above 0.1.

  Untested if the sigmoid with standard weights is not in the run, or learns for
  less than a million updates: in the paper it takes 2 million.
  """
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  runs.require_long(one, 'in the paper it takes some 2 million')
  top = runs.hidden(one, 'activation_mean')[:, :, -1]
  least = claims.mean(top.min(axis=1))
  rise = claims.mean(top[:, -1] - top.min(axis=1))
  return claims.finding(
    least.high < _LOW and rise.low > _LOW,
    f'its mean is {least} at the least, and rises by {rise} from there',
  )


def _sigmoid(outcomes: Sequence[Outcome]) -> tuple[Outcome, np.ndarray, int]:
  """The network, its means, and the index of the last record up to _SOON."""
  one = claims.one(outcomes, activation='sigmoid', init='standard')
  last = int(np.flatnonzero(np.array(one.steps) <= _SOON)[-1])
  if not last:
    raise claims.Untested(f'nothing is recorded up to update {_SOON}')
  return one, runs.hidden(one, 'activation_mean'), last


def _below_the_top(outcomes: Sequence[Outcome]) -> tuple[np.ndarray, str]:
  """The means of the layers below the top, `[S, layers]`, and as text."""
  one, means, last = _sigmoid(outcomes)
  means = means[:, last, :-1]
  layers = means.shape[1]
  if layers < 2:
    raise claims.Untested('no two hidden layers below the top one')
  level = claims.mean(means)
  told = ', '.join(f'layer {at + 1} {level.at(at)}' for at in range(layers))
  return means, f'after {one.steps[last]} updates: {told}'


# Figures 3, 4 and 10.

_SATURATED = 0.95  # of |z|, where tanh has a slope below a tenth


@claims.claim('figure 3: tanh', f'{SOURCE}, section 3.2 and figure 3, top')
def one_after_the_other(outcomes):
  """The layers of a tanh network saturate one after the other, the first one
  first.

  A layer saturates at the step at which its 98th percentile of |z| first passes
  0.95. A seed saturates in order where the first hidden layer does, no layer
  does before the one below it, and the last one later than the first, or never.

  Holds if the interval of the share of such seeds lies above one half.

  Untested if tanh with standard weights is not in the run, or learns for less
  than a million updates.
  """
  one = claims.one(outcomes, activation='tanh', init='standard')
  edges = runs.hidden(one, 'activation_percentile')
  last = claims.mean(edges[:, -1])
  told = ', '.join(f'{last.at(layer)}' for layer in range(edges.shape[2]))
  runs.require_long(one, f'98th percentiles of |z|, from the input, are {told}')
  passed, steps = edges > _SATURATED, np.asarray(one.steps, float)
  when = np.where(passed.any(1), steps[passed.argmax(1)], np.inf)
  ordered = np.all(when[:, :-1] <= when[:, 1:], axis=1)
  share = claims.share(ordered & (when[:, 0] < when[:, -1]))
  return claims.finding(
    share.low > 0.5, f'seeds whose layers saturate in order: {share:%}'
  )


@claims.claim(
  'figure 3: softsign', f'{SOURCE}, section 3.3 and figure 3, bottom'
)
def softsign_together(outcomes):
  """The layers of a softsign network move together, not one after the other.

  The range over hidden layers of the 98th percentile of |z| at the end is taken
  in units of the mean of the layers, so that smaller activations are no
  argument.

  Holds if the interval of its difference from that of tanh with standard
  weights, whose layers move one after the other, lies below 0, by seed.

  Untested if one of the two networks is not in the run, or tanh with standard
  weights is still on the plateau of the class prior.
  """
  return _closer_together(outcomes, 'softsign', 'standard')


@claims.claim('figure 10', f'{SOURCE}, section 4.3 and figure 10')
def tanh_together(outcomes):
  """With normalized weights the layers of a tanh network move together, as
  softsign's do.

  Holds if their range differs from that with standard weights as softsign's
  does in 'figure 3: softsign'.

  Untested as 'figure 3: softsign'.
  """
  return _closer_together(outcomes, 'tanh', 'glorot')


def _closer_together(
  outcomes: Sequence[Outcome], activation: str, init: str
) -> Finding:
  tanh = claims.one(outcomes, activation='tanh', init='standard')
  spreads = []
  for one in (claims.one(outcomes, activation=activation, init=init), tanh):
    edges = runs.hidden(one, 'activation_percentile')[:, -1]
    spreads.append(np.ptp(edges, axis=1) / edges.mean(axis=1))
  own, its = map(stats.mean, spreads)
  told = (
    "the range over the layers of |z|'s 98th percentile, over their mean, is "
    f'{own}, of tanh with standard weights {its}'
  )
  difference = claims.mean(spreads[0] - spreads[1])
  runs.require_learning(tanh, told)
  return claims.finding(difference.high < 0, told)


@claims.claim('figure 4: tanh', f'{SOURCE}, section 3.3 and figure 4, top')
def tanh_at_its_ends(outcomes):
  """At the end the lower layers of a tanh network sit at -1 and 1.

  Holds if in the first hidden layer the interval of the share of |z| beyond
  0.95 lies above a fifth, where a uniform |z| would have a twentieth.

  Untested if tanh with standard weights is not in the run, or learns for less
  than a million updates.
  """
  return _sits(outcomes, 'tanh', _SATURATED, 1.0)


@claims.claim(
  'figure 4: softsign', f'{SOURCE}, section 3.3 and figure 4, bottom'
)
def softsign_at_its_knees(outcomes):
  """Those of a softsign network sit about 0.6 to 0.8, at its knees, and not
  beyond.

  Holds if in the first hidden layer the interval of the share of |z| from 0.6
  to 0.8 lies above a fifth, which a uniform |z| would have, and that of what it
  exceeds the share beyond by above 0.

  Untested if softsign with standard weights is not in the run, or learns for
  less than a million updates.
  """
  return _sits(outcomes, 'softsign', 0.6, 0.8)


def _sits(
  outcomes: Sequence[Outcome], activation: str, low: float, high: float
) -> Finding:
  """Whether the first layer's |z| concentrate between low and high."""
  one = claims.one(outcomes, activation=activation, init='standard')
  size = np.abs(one.measured['activation_sample'][:, 0])
  finite = np.isfinite(size).all(1)
  of_seeds = lambda where: np.where(finite, where.mean(1), np.nan)
  there = of_seeds((size >= low) & (size <= high))
  share = claims.mean(there)
  told = f'share of the first layer with |z| from {low} to {high}: {share:%}'
  runs.require_long(one, told)
  ahead = claims.mean(there - of_seeds(size > high))
  return claims.finding(share.low > 0.2 and ahead.low > 0, told)


FIGURE_2 = (top_falls, above_half, upward, escapes)
FIGURE_3 = (one_after_the_other, softsign_together)
FIGURE_4 = (tanh_at_its_ends, softsign_at_its_knees)
FIGURE_10 = (tanh_together,)
