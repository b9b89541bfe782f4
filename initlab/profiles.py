"""How a quantity changes over the layers: at a constant rate, or to a level.

A profile is a positive measure of every hidden layer, in the order of the
forward or backward pass, one row per seed. Its square is the variance; all
criteria use the logarithm of the variance, averaged over seeds.

A profile is *geometric* unless some layer deviates from the straight line
through its two ends, in log variance, by more than log 1.25 and by more than a
tenth of the total change. The 95% interval of the deviation over seeds, one of
L - 2 with Bonferroni's correction, must lie beyond that; with too few seeds for
an interval, the mean deviation. Only a geometric profile has a rate per layer.

Any other profile *settles* at the first layer from which all layers are within
log 1.25 of the last, if these are at least half of its layers and at least
three.
"""

from typing import NamedTuple

import numpy as np

from initlab import stats

_QUARTER = np.log(1.25)  # of log variance: a smaller change counts as preserved
_TENTH = 0.1  # of the total change
_LEVEL_LAYERS = 3  # fewest layers of a level


class Profile(NamedTuple):
  """A summary of a profile of L layers.

  factor: of the variance per layer, the geometric mean over all layers and the
    seeds with a signal in all layers.
  geometric: whether that factor describes the profile.
  settled: the number of layers before the level; None without a level.
  first, last: the factors of the first and of the last step.
  level: the measure in the last layer.
  """

  factor: stats.Estimate
  geometric: bool
  settled: int | None
  first: stats.Estimate
  last: stats.Estimate
  level: stats.Estimate


def judge(values: np.ndarray) -> Profile:
  """Judges a profile.

  Args:
    values: `[S, L]`, not negative, L >= 2. Seeds with a zero or non-finite
      value have no signal and are left out.
  """
  values = np.asarray(values, float)
  alive = np.all(np.isfinite(values) & (values > 0), axis=1)
  values = np.where(alive[:, None], values, np.nan)
  steps = values.shape[1] - 1
  logs = 2 * np.log(values)
  change = logs[:, -1] - logs[:, 0]
  line = logs[:, :1] + change[:, None] * np.arange(steps + 1) / steps
  return Profile(
    factor=stats.geometric_mean(np.exp(change / steps)),
    geometric=_is_straight((logs - line)[:, 1:-1], change),
    settled=_settled(logs),
    first=stats.geometric_mean(np.exp(logs[:, 1] - logs[:, 0])),
    last=stats.geometric_mean(np.exp(logs[:, -1] - logs[:, -2])),
    level=stats.geometric_mean(values[:, -1]),
  )


def factor(values: np.ndarray) -> float:
  """The geometric mean factor of variance of one profile `[L]`."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return float((values[-1] / values[0]) ** (2 / (len(values) - 1)))


def in_words(value: float, steps: int) -> str:
  """A factor of variance in words: preserved, or how fast it shrinks or grows.

  Preserved if the total change is less than a quarter; slow if it takes more
  than two layers to halve or double.
  """
  if abs(steps * np.log(value)) <= _QUARTER:
    return 'preserved'
  layers = np.log(2) / abs(np.log(value))
  verb = 'shrinks' if value < 1 else 'grows'
  pace = 'slowly' if layers > 2 else 'fast'
  change = 'halves' if value < 1 else 'doubles'
  return f'{verb} {pace}, {change} every {layers:.2g} layers'


def _is_straight(departure: np.ndarray, change: np.ndarray) -> bool:
  if not departure.size or not np.isfinite(change).any():
    return True
  allowed = max(_QUARTER, _TENTH * abs(float(np.nanmean(change))))
  found = stats.mean(departure, 1 - 0.05 / departure.shape[1])
  low, high = (
    np.where(np.isnan(end), found.value, end) for end in (found.low, found.high)
  )
  return not bool(np.any(low > allowed) or np.any(high < -allowed))


def _settled(logs: np.ndarray) -> int | None:
  if not np.isfinite(logs).any():
    return None
  mean = np.nanmean(logs, axis=0)
  away = np.flatnonzero(np.abs(mean - mean[-1]) > _QUARTER)
  before = int(away[-1]) + 1 if away.size else 0
  enough = max(_LEVEL_LAYERS, len(mean) / 2)
  return before if len(mean) - before >= enough else None
