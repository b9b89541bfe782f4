"""What Dey et al. say of the best learning rate of deep transformers."""

from collections.abc import Sequence

import numpy as np

from initlab import claims, stats
from initlab.experiment import Finding, Outcome

from . import rate_transfer

_FIXED = 0.25  # octaves of rate per octave of depth: one octave per factor 16
_SOURCE = 'Dey et al., 2025, abstract and figure 2'


def drift(outcomes: Sequence[Outcome], exponent: float) -> stats.Estimate:
  """d log2 best rate / d log2 depth with an exponent, over seeds.

  Raises:
    Untested: the depths do not span a factor of 8, or as `best_rates`.
  """
  settings = claims.every(outcomes, exponent=exponent)
  depths = sorted({each.config.depth for each in settings})
  if depths[-1] < 8 * depths[0]:
    raise claims.Untested(f'no range of depths with a = {exponent:g}')
  best = [
    rate_transfer.best_rates(claims.every(settings, depth=depth))
    for depth in depths
  ]
  x = np.log2(depths) - np.log2(depths).mean()
  return claims.mean(x / (x @ x) @ np.stack(best))


def _drifts(outcomes: Sequence[Outcome], exponent: float) -> Finding:
  found = drift(outcomes, exponent)
  return claims.finding(
    found.high < -_FIXED or found.low > _FIXED,
    f'{found} octaves of rate per octave of depth',
  )


@claims.claim('atlas 12, CompleteP', _SOURCE)
def complete(outcomes):
  """In CompleteP the best rate is the same at any depth.

  Holds if with exponent 1 the interval of the slope of log2 of the best rate of
  a seed on log2 of the depth lies between -0.25 and 0.25.

  Untested if the depths do not span a factor of 8, or the best rate of a seed
  is at an end of the rates.
  """
  found = drift(outcomes, 1.0)
  return claims.finding(
    found.within(-_FIXED, _FIXED),
    f'{found} octaves of rate per octave of depth',
  )


@claims.claim('atlas 12, muP', _SOURCE)
def maximal_update(outcomes):
  """In muP, which knows nothing of the depth, the best rate drifts.

  Holds if with exponent 0 the interval of that slope lies wholly outside of
  -0.25 to 0.25.

  Untested as for CompleteP.
  """
  return _drifts(outcomes, 0.0)


@claims.claim('atlas 12, a = 0.5', _SOURCE)
def half(outcomes):
  """With branches over the square root of the depth the best rate drifts.

  Holds if with exponent 0.5 the interval of that slope lies wholly outside of
  -0.25 to 0.25.

  Untested as for CompleteP.
  """
  return _drifts(outcomes, 0.5)


CLAIMS = (complete, maximal_update, half)
