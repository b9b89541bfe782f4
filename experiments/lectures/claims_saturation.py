"""Claims of lectures about weights of a fixed size, tested on `saturation`."""

import itertools

import numpy as np

from initlab import claims, stats
from initlab.experiment import in_words

from .zones import FLAT, FLAT_SLOPE, LINEAR, LINEAR_ERROR

SOURCE = '365 Data Science, Deep Learning with TensorFlow 2, initialization'


@claims.claim('lecture 7, variance', SOURCE)
def variance_of_sums(outcomes):
  """With weights in +-0.1 or of deviation 0.1, a sum of n inputs of square 1
  has the variance n/300 or n/100.

  Holds if at every number of inputs the interval over seeds of the mean square
  of the sums holds n/300 for uniform and n/100 for normal weights.

  Untested if a distribution is not seen from 50 or fewer to 1000 or more inputs
  at scale 0.1, or an interval reaches farther than a tenth to both sides.
  """
  settings = _settings(outcomes)
  ratios = [x.measured['variance'] / x.predicted['variance'] for x in settings]
  found = claims.mean(np.stack(ratios, axis=1), len(settings))
  far = int(np.argmax(np.abs(found.value - 1)))
  first, last = (
    f'{stats.mean(each.measured["variance"])} ({each.label})'
    for each in (settings[0], settings[-1])
  )
  return claims.finding(
    claims.agrees(found, 1, within=0.1, slack=1e-6),
    f'from {first} to {last}; over theory, farthest from 1: {found.at(far)}, '
    f'of {settings[far].label}',
  )


@claims.claim('lecture 7, both problematic', SOURCE)
def both_problematic(outcomes):
  """That is too small below about 50 inputs, and saturates units above about
  1000.

  Holds if for both distributions, up to 50 inputs, the interval of the variance
  lies below 1, that of an input, so that the signal shrinks, and that of the
  share of units in the sigmoid's linear zone above one half; and from 1000
  inputs on that of tanh's mean slope below one half of the 1 that it has at 0.

  Untested if a distribution is not seen from 50 or fewer to 1000 or more inputs
  at scale 0.1.
  """
  holds, parts = True, []
  for each in _settings(outcomes):
    fields = 'variance', 'linear', 'tanh_slope'
    size, linear, slope = (claims.mean(each.measured[x]) for x in fields)
    if each.config.inputs <= 50:
      holds &= bool(size.high < 1 and linear.low > 0.5)
      text = f'variance {size}, {linear:%} of the units in the linear zone'
      parts.append(f'{each.label}: {text}')
    elif each.config.inputs >= 1000:
      holds &= bool(slope.high < 0.5)
      parts.append(f'{each.label}: {slope} of the slope of tanh')
  return claims.finding(holds, '; '.join(parts))


@claims.claim('lecture 8, zones', SOURCE)
def sigmoid_zones(outcomes):
  """The sigmoid is almost linear near 0 and almost flat at the extremes.

  Holds if no unit with |s| <= 0.8 is farther than 0.0101 from 1/2 + s/4, and no
  unit with |s| > 4 has a slope above 0.01767. These are what calculus allows at
  the edges of the zones. Both are less than a tenth, which is what "almost" is
  taken to say, of the line's rise of 0.2 and of the slope of 1/4 at 0.

  Untested if no unit of the run is in one of the zones.
  """
  settings = claims.every(outcomes)
  error = np.max([each.measured['linear_error'].max() for each in settings])
  slope = np.max([each.measured['flat_slope'].max() for each in settings])
  if error == 0 or slope == 0:
    raise claims.Untested('no unit of this run is in one of the zones')
  return claims.finding(
    error <= LINEAR_ERROR and slope <= FLAT_SLOPE,
    f'up to {LINEAR} from 0, |sigmoid - (1/2 + s/4)| is at most {error:.5f}; '
    f'beyond {FLAT:g} the slope is at most {slope:.5f} of 0.25',
  )


@claims.claim('lecture 8, shares', SOURCE)
def shares(outcomes):
  """With more inputs units leave the linear zone for the flat one, and the
  average slope falls.

  Holds if from the fewest to the most inputs the intervals of the linear share
  and of the sigmoid's slope fall, and that of the flat share rises, without
  touching; and if every share and mean slope of the sweep has an interval that
  holds what theory says of a Gaussian sum, up to what a sum of uniform weights
  differs from one.

  Untested if a distribution is not seen from 50 or fewer to 1000 or more inputs
  at scale 0.1, or an interval of a share or slope reaches farther than 0.05.
  """
  fields = 'linear', 'flat', 'sigmoid_slope', 'tanh_slope'
  settings, holds, parts, worst = _settings(outcomes), [], [], 0.0
  for init, field in itertools.product(('uniform', 'normal'), fields):
    sweep = claims.every(settings, init=init)
    values = np.stack([x.measured[field] for x in sweep], axis=1)
    found = claims.mean(values, len(fields) * len(settings))
    theory = np.array([x.predicted[field] for x in sweep])
    slack = np.array([not_gaussian(x.config, field) for x in sweep])
    holds.append(claims.agrees(found, theory, within=0.05, slack=slack))
    worst = max(worst, np.max(np.abs(found.value - theory)))
    if field != 'tanh_slope':
      ends = claims.mean(values[:, 0]), claims.mean(values[:, -1])
      low, high = ends if field == 'flat' else reversed(ends)
      holds.append(bool(low.high < high.low))
      parts.append(f'{init}, {in_words(field)}: {ends[0]} to {ends[1]}')
  text = f'{"; ".join(parts)}; at most {worst:.2g} off theory'
  return claims.finding(claims.together(holds), text)


def not_gaussian(config, field):
  """Bound on the error of Gaussian theory for the sums of a run.

  It is rounding, and for uniform weights the first non-Gaussian term: with an
  excess kurtosis of -6 / (5 n), the error of a distribution function is at most
  0.55 / 24 of that, and of a share twice as much; the slopes are bounded by 1,
  and their error is no larger.
  """
  if config.init == 'normal' or field == 'variance':
    return 1e-6
  return 1e-6 + 2 * 0.55 / 24 * 1.2 / config.inputs


def _settings(outcomes):
  """The lecture's settings by distribution, in the order of their inputs."""
  found = []
  for init in ('uniform', 'normal'):
    sweep = claims.every(outcomes, init=init, scale=0.1, bias=0.0)
    sweep.sort(key=lambda setting: setting.config.inputs)
    if sweep[0].config.inputs > 50 or sweep[-1].config.inputs < 1000:
      raise claims.Untested('inputs are not from 50 or fewer to 1000 or more')
    found += sweep
  return found


SATURATION = (variance_of_sums, both_problematic, sigmoid_zones, shares)
