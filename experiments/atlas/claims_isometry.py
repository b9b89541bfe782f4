"""What Pennington et al. say of the training of isometric networks.

The best rates are chosen on the seeds that judge, so the intervals cover for
every choice of rates that there could have been.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims
from initlab.experiment import Outcome

_NEAREST = 0.25  # of an exponent: nearer to 1/2 than to 0 or 1


def fastest(settings: Sequence[Outcome]) -> tuple[float, np.ndarray]:
  """The best of the rates and its times, `[S]`, of settings of one depth.

  A seed that has not learned is given the number of steps, which is less than
  it would take.
  """
  times = {
    each.config.scaled_rate: np.nan_to_num(
      each.measured['learning_time'], nan=each.config.steps
    )
    for each in settings
  }
  rate = min(times, key=lambda each: times[each].mean())
  return rate, times[rate]


@claims.claim('atlas 4, square root', 'Pennington et al., 2017, experiments')
def square_root(outcomes):
  """From isometric weights the learning time grows as the root of the depth.

  Holds if the interval of the slope of ln time on ln depth, of each seed at the
  best rate of each depth, holds values nearer to 1/2 than to 0 and 1, and half
  of it is no wider than the 1/4 that separates these; with tanh and orthogonal
  weights.

  Untested if the depths do not span a factor of 8, or a seed has not learned at
  the best rate, or that is the least or the largest of the rates.
  """
  found = claims.every(outcomes, activation='tanh', weights='orthogonal')
  depths = sorted({each.config.depth for each in found})
  if depths[-1] < 8 * depths[0]:
    raise claims.Untested('no range of depths')
  times, choices = [], 1
  for depth in depths:
    settings = claims.every(found, depth=depth)
    choices *= len(settings)
    rates = [each.config.scaled_rate for each in settings]
    rate, time = fastest(settings)
    if rate in (min(rates), max(rates)):
      raise claims.Untested(f'depth {depth}: no best rate in the range')
    if (time >= settings[0].config.steps).any():
      raise claims.Untested(f'depth {depth}: some seeds never learn')
    times.append(time)
  centred = np.log(depths) - np.mean(np.log(depths))
  slopes = centred @ np.log(np.maximum(times, 1)) / (centred @ centred)
  slope = claims.mean(slopes, choices)
  told = ', '.join(f'{each.mean():.3g}' for each in times)
  return claims.finding(
    claims.agrees(slope, 0.5, within=_NEAREST, slack=_NEAREST),
    f'exponent {slope}; {told} steps at depths {depths}',
  )


@claims.claim('atlas 4, isometry learns', 'Pennington et al., 2017, abstract')
def sooner(outcomes):
  """Isometric networks learn sooner than tanh with normal weights and ReLU.

  The paper has orders of magnitude, in networks of 200 layers.

  Holds if at the largest depth, each at its best rate, the interval of the
  ratio of the times, paired by seed, lies above 1 for tanh with normal weights
  and for the ReLU with either. A seed that has not learned counts with the
  steps it was given.

  Untested if one of the four is missing, or isometric networks do not learn.
  """
  depth = max(each.config.depth for each in outcomes)
  at = lambda activation, weights: claims.every(
    outcomes, activation=activation, weights=weights, depth=depth
  )
  own = at('tanh', 'orthogonal')
  _, time = fastest(own)
  if (time >= own[0].config.steps).any():
    raise claims.Untested('isometric networks do not learn in these steps')
  others = [('tanh', 'normal'), ('relu', 'orthogonal'), ('relu', 'normal')]
  told, held = [], []
  for other in others:
    slow = at(*other)
    ratio = claims.ratio(fastest(slow)[1], time, len(slow) * len(own))
    held.append(bool(ratio.low > 1))
    told.append(f'{", ".join(other)}: {ratio}')
  return claims.finding(all(held), f'depth {depth}: ' + '; '.join(told))


TRAINING = (square_root, sooner)
