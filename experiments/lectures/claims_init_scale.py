"""Ng's claims about random initial weights, tested on `init_scale`.

The draw is tested at every epsilon, training at both ends of the sweep.
"""

import numpy as np

from initlab import claims

THETA1 = 11 * 10  # numbers in it
SOURCE = 'Andrew Ng, Machine Learning, lesson "Random initialization"'


@claims.claim('lecture 6, the draw', SOURCE)
def the_draw(outcomes):
  """rand(10,11) 2 epsilon - epsilon has the range [-epsilon, epsilon], the mean
  0 and the variance epsilon^2 / 3.

  Holds if at each of K values of epsilon the largest of all N numbers is at
  most epsilon and at least epsilon (1 - ln(3 K / ALPHA) / N), which chance
  misses with the probability ALPHA / 3 K; and if the intervals over seeds of
  mean and variance hold 0 and epsilon^2 / 3.

  Untested if an interval reaches farther than a tenth of epsilon, or of
  epsilon^2 / 3, to both sides.
  """
  settings = claims.every(outcomes)
  cells, size = 3 * len(settings), THETA1 * len(settings[0].seeds)
  epsilon = np.array([np.float32(x.config.epsilon) for x in settings], float)
  of = lambda field: np.stack([x.measured[field] for x in settings], axis=1)
  largest = of('largest').max(axis=0) / epsilon
  mean = claims.mean(of('mean') / epsilon, cells)
  variance = claims.mean(of('variance') / (epsilon**2 / 3), cells)
  holds = [
    largest.min() >= 1 - np.log(cells / claims.ALPHA) / size,
    largest.max() <= 1,
    claims.agrees(mean, 0, within=0.1),
    claims.agrees(variance, 1, within=0.1),
  ]
  far = lambda x, expected: x.at(int(np.argmax(np.abs(x.value - expected))))
  return claims.finding(
    claims.together(holds),
    f'{size} numbers a setting, over epsilon: largest {largest.min():.4f} to '
    f'{largest.max():.4f}, mean farthest from 0 {far(mean, 0)}; variance over '
    f'epsilon^2 / 3 farthest from 1 {far(variance, 1)}',
  )


@claims.claim('lecture 6, too small', SOURCE)
def too_small(outcomes):
  """If epsilon is too small, the gradient is, too, and training stalls.

  Holds if training stalls at the smallest epsilon, and the interval of the
  ratio of its first gradient to that at the best epsilon lies below 1/100: the
  gradient of Theta1 comes through two layers of weights, so an epsilon ten
  times smaller makes it a hundred times smaller. Training stalls if the
  interval of the ratio of steps to those at the best epsilon lies above 5, and
  that of the share of seeds that solve the task below one half, while that at
  the best epsilon lies above.

  Untested if epsilon spans less than five decades, or networks differ in more.
  """
  end, best, stalls, text = _end_and_best(outcomes, 0)
  first, other = (each.measured['gradient_norm'] for each in (end, best))
  ratio = claims.ratio(first, other, len(outcomes) - 1)
  text += f'; its first gradient is {ratio} of the norm'
  return claims.finding(stalls and bool(ratio.high < 0.01), text)


@claims.claim('lecture 6, too large', SOURCE)
def too_large(outcomes):
  """If epsilon is too large, units saturate and training stalls.

  Holds if training stalls at the largest epsilon, by the same criterion, and
  the interval of the share of units that are saturated before training lies
  above one half, and above that at the best epsilon.

  Untested if epsilon spans less than five decades, or networks differ in more.
  """
  end, best, stalls, text = _end_and_best(outcomes, -1)
  shares = (each.measured['saturated'] for each in (end, best))
  now, then = (claims.mean(each, len(outcomes) - 1) for each in shares)
  text += f'; {now:%} of its units are saturated at first, {then:%} there'
  return claims.finding(stalls and bool(now.low > max(0.5, then.high)), text)


def _end_and_best(outcomes, end):
  """An end of the sweep, the best setting, whether the first stalls, as text.

  A seed that does not solve the task counts with the last step. The best
  setting is chosen on the same seeds, so the intervals of its comparisons with
  all others are simultaneous.
  """
  ordered = sorted(claims.every(outcomes), key=lambda each: each.config.epsilon)
  if len({(x.config.activation, x.config.steps) for x in ordered}) > 1:
    raise claims.Untested('more than one network in this run')
  if ordered[-1].config.epsilon < 0.99e5 * ordered[0].config.epsilon:
    raise claims.Untested('epsilon is swept over less than five decades')
  steps = lambda each: each.measured['steps_to_solve']
  worst, best = ordered[end], min(ordered, key=lambda each: steps(each).mean())
  cells = len(ordered) - 1
  ratio = claims.ratio(steps(worst), steps(best), cells)
  late, early = (
    claims.share(each.measured['solved'] == 1, cells) for each in (worst, best)
  )
  stalls = bool(ratio.low > 5 and late.high < 0.5 < early.low)
  text = f'epsilon {worst.config.epsilon:g} takes {ratio} times the steps of '
  text += f'{best.config.epsilon:g}; {late:%} of its seeds solve the task'
  return worst, best, stalls, text


INIT_SCALE = (the_draw, too_small, too_large)
