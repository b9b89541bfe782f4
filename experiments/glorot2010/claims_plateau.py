"""Statements of Glorot & Bengio 2010 about who leaves the plateau of the prior.

On Shapeset-3x2 a network that has learned nothing of the images gives the same
answer to all: its loss is the entropy of the class prior, 2.110 nats. PLATEAU
is checked on `experiments.learning`, with the rows of `table_1`. Intervals are
widened as in `claims`, so that all of one statement cover together.
"""

from collections.abc import Sequence
import itertools

import numpy as np

from initlab import claims, stats
from initlab.experiment import Outcome

from . import SOURCE, table_1
from .table_1 import FREE, STUCK


@claims.claim(
  'table 1: plateau',
  f'{SOURCE}, table 1 and figure 11, as far as a short run goes',
)
def plateau(outcomes):
  """With standard weights, tanh and sigmoid networks learn nothing of the
  images, at any learning rate over three decades.

  The paper optimized the learning rate of each model, so every rate is tested.
  One with too few finite seeds for an interval takes no part: a network that
  diverged has not shown that it learns nothing.

  Holds if no interval of the test loss, of either network at any rate, reaches
  below the least loss of a constant answer.

  Untested if tanh or sigmoid with standard weights is not in the run, or has no
  rate with an interval; and, unless an interval lies below that loss, if the
  rates with intervals span less than three decades, or an interval contains
  that loss and values below it.
  """
  losses, told = _losses(outcomes)
  floors = {
    name: float(_at_all_rates(outcomes, name)[0].predicted['prior'])
    for name in STUCK
  }
  told += f'; a constant answer costs {floors[STUCK[0]]:.4f} on these examples'
  if any(loss.high < floors[name] for name, _, loss in losses):
    return claims.finding(False, told)
  for name in STUCK:
    rates = [rate for row, rate, _ in losses if row == name]
    if np.log10(max(rates) / min(rates)) < 3 - 1e-9:
      raise claims.Untested(
        f'finite losses at learning rates over less than three decades; {told}'
      )
  if any(loss.low < floors[name] for name, _, loss in losses):
    raise claims.Untested(f'an interval contains it and values below; {told}')
  return claims.finding(True, told)


@claims.claim(
  'table 1: 2.110 nats',
  f"{SOURCE}, table 1: 82.61%, the prior's error being 83.33%",
)
def prior_entropy(outcomes):
  """What they are stuck at is the entropy of the class prior.

  The paper's 82.61% for the sigmoid is about the error of a constant answer,
  83.33%, whose loss is the entropy of the class prior, 2.1100 nats. -ln P(y) of
  a drawn label has this mean and a deviation of 0.3934, so the mean over N test
  labels lies within 2.576 x 0.3934 / sqrt(N) of it with a probability of 99%.

  The least of the mean test losses of a row over all rates lies between the
  least low end and the least high end of their intervals, which cover together.

  Holds if both of these ends, of tanh and of sigmoid, lie as near to the
  entropy as the test labels tell.

  Untested if tanh or sigmoid with standard weights is not in the run, or has no
  rate with an interval; or if one of the two ends, but not both on the same
  side, lies farther from the entropy than that: the losses are not known well
  enough.
  """
  prior = np.repeat([3, 2, 1], 3) / 18
  entropy = -np.sum(prior * np.log(prior))
  spread = np.sqrt(np.sum(prior * np.log(prior) ** 2) - entropy**2)
  losses, _ = _losses(outcomes)
  test_size = _at_all_rates(outcomes, STUCK[0])[0].config.test_size
  within = 2.576 * spread / np.sqrt(test_size)
  near, far, told = True, False, []
  for name in STUCK:
    own = [loss for row, _, loss in losses if row == name]
    value, low, high = (min(loss[part] for loss in own) for part in range(3))
    near &= entropy - within <= low and high <= entropy + within
    far |= high < entropy - within or low > entropy + within
    told.append(f'{name.lower()} {value:.4f} [{low:.4f}, {high:.4f}]')
  words = (
    f'least test loss of all rates: {", ".join(told)} nats; the prior has '
    f'{entropy:.4f}, and {test_size} labels err by {within:.4f}'
  )
  if not (near or far):
    raise claims.Untested(f'the losses are not known well enough; {words}')
  return claims.finding(near, words)


def _losses(
  outcomes: Sequence[Outcome],
) -> tuple[list[tuple[str, float, stats.Estimate]], str]:
  """The learning rates of each stuck row with their test losses; and as text.

  The intervals of all rates of both rows are simultaneous. A rate with too few
  finite seeds for an interval is left out.
  """
  settings = [
    (name, each) for name in STUCK for each in _at_all_rates(outcomes, name)
  ]
  confidence = claims.confidence(len(settings))
  losses = [
    (
      name,
      each.config.learning_rate,
      stats.mean(each.measured['final_loss'], confidence),
    )
    for name, each in settings
  ]
  told = '; '.join(
    f'{name.lower()} {", ".join(f"{loss} at {rate:g}" for _, rate, loss in of)}'
    for name, of in itertools.groupby(losses, lambda each: each[0])
  )
  told = f'test loss in nats, by learning rate: {told}'
  known = [each for each in losses if np.isfinite(each[2].low)]
  if {name for name, *_ in known} < set(STUCK):
    raise claims.Untested(f'no rate has an interval; {told}')
  return known, told


def _at_all_rates(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
  activation, init = table_1.ROWS[name]
  return claims.every(outcomes, activation=activation, init=init)


@claims.claim('table 1: off the plateau', f'{SOURCE}, table 1 and figure 11')
def off_the_plateau(outcomes):
  """Softsign with either initialization, and tanh with normalized weights,
  leave it.

  The paper's errors of these rows, 15.6 to 16.3%, are far from the 83.33% of a
  constant answer; a shorter run can show that they are off it.

  Holds if the interval of the test loss at the chosen rate, of each of the
  three rows, lies below the loss of a constant answer.

  Untested if one of the rows is not in the run.
  """
  rows = {name: table_1.row(outcomes, name) for name in FREE}
  floor = min(row.outcome.predicted['prior'] for row in rows.values())
  holds, told = True, []
  for name, row in rows.items():
    loss = table_1.mean(row, lambda each: each.measured['final_loss'], 3)
    holds &= bool(loss.high < floor)
    told.append(f'{name.lower()} {loss}')
  return claims.finding(
    holds,
    f'test loss in nats at the chosen rate: {", ".join(told)}; a constant '
    f'answer costs {floor:.4f}',
  )


PLATEAU = (plateau, prior_entropy, off_the_plateau)
