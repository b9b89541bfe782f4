"""What lectures say of networks that other programs measure.

XAVIER is checked on `experiments.variance`, with Xavier's weights in both
distributions and weights of a fixed size in one run, at few and at many units;
SEEDS on `experiments.learning`, with a hundred seeds or more.

The lectures give no numbers. Here ranges are similar that are of the same order
of magnitude, of a ratio nearer to 1 than to 10 on a logarithmic axis; a signal
is lost, and units saturate, by a factor of 10.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims, stats
from initlab.experiment import Claim, Finding, Outcome

_SIMILAR, _LOST = 10**0.5, 10.0
_TRIES = 5  # seeds of which the best is kept; the lecture says several
_DATA_SCIENCE = '365 Data Science, "Xavier (Glorot) initialization"'
_LAROCHELLE = 'Hugo Larochelle, Neural networks, "Parameter initialization"'


def _over_layers(outcome: Outcome, field: str) -> stats.Estimate:
  """The last hidden layer over the first."""
  values = outcome.measured[field]
  if values.shape[1] < 3:
    raise claims.Untested('one hidden layer has no other to compare with')
  return claims.ratio(values[:, -2], values[:, 0])


def _similar(estimate: stats.Estimate) -> bool:
  return bool((estimate.low > 1 / _SIMILAR) & (estimate.high < _SIMILAR))


def _told(outcome: Outcome) -> str:
  up, down = (
    claims.told(_over_layers(outcome, field))
    for field in ('activation_std', 'gradient_std')
  )
  return f'{outcome.label}: activations x {up}, gradients x {down}'


def _xavier(outcomes: Sequence[Outcome]) -> list[Outcome]:
  return [
    each
    for distribution in ('uniform', 'normal')
    for each in claims.every(outcomes, init=f'glorot_{distribution}')
  ]


def _tenth(outcomes: Sequence[Outcome]) -> list[Outcome]:
  return [
    each
    for init in ('uniform_tenth', 'normal_tenth')
    for each in claims.every(outcomes, init=init)
  ]


def check_xavier(outcomes: Sequence[Outcome]) -> Finding:
  """The last hidden layer's standard deviations over the first's, by seed.

  Holds if the intervals of the ratios of activations and of back-propagated
  gradients lie between 10^-1/2 and 10^1/2, at all widths.

  Untested if Xavier's weights in both distributions are not in the run, or have
  one hidden layer.
  """
  found = _xavier(outcomes)
  holds = [
    _similar(_over_layers(each, field))
    for each in found
    for field in ('activation_std', 'gradient_std')
  ]
  return claims.finding(all(holds), '; '.join(map(_told, found)))


def check_distributions(outcomes: Sequence[Outcome]) -> Finding:
  """Uniform over normal: the root mean square over the hidden layers, by seed.

  Holds if the intervals of the ratios of activations and of back-propagated
  gradients lie between 1/1.2 and 1.2, at all widths: a fifth is far less than
  what layers may differ by and still be similar, a factor of 3.2.

  Untested if Xavier's weights in both distributions are not in the run.
  """
  pairs = list(
    zip(
      claims.every(outcomes, init='glorot_uniform'),
      claims.every(outcomes, init='glorot_normal'),
      strict=True,
    )
  )
  ratios = [
    claims.ratio(
      np.sqrt(np.mean(uniform.measured[field][:, :-1] ** 2, axis=1)),
      np.sqrt(np.mean(normal.measured[field][:, :-1] ** 2, axis=1)),
    )
    for uniform, normal in pairs
    for field in ('activation_std', 'gradient_std')
  ]
  worst = max(ratios, key=lambda ratio: max(ratio.high, 1 / ratio.low))
  return claims.finding(
    bool((worst.low > 1 / 1.2) & (worst.high < 1.2)),
    'uniform over normal, of the layers together, farthest from 1: '
    f'{claims.told(worst)}',
  )


def check_tenth(outcomes: Sequence[Outcome]) -> Finding:
  """Weights of a fixed size, in few and in many units.

  Holds if up to 50 units the interval of the last hidden layer's activations
  over the first's lies below 1/10: the signal is lost; and from 1000 units on
  the interval of the share of saturated units in the last hidden layer lies
  above ten times the upper end of any with Xavier's weights.

  Untested if weights of a fixed size, or Xavier's, are not in the run, or not
  both few and many units.
  """
  found = sorted(_tenth(outcomes), key=lambda each: each.config.widths[0])
  few, many = (
    [x for x in found if x.config.widths[0] <= 50],
    [x for x in found if x.config.widths[0] >= 1000],
  )
  if not (few and many):
    raise claims.Untested('not both few units (to 50) and many (from 1000)')
  holds, parts = True, []
  for each in few:
    holds &= bool(_over_layers(each, 'activation_std').high < 1 / _LOST)
    parts.append(_told(each))
  limit = max(float(_saturated(each).high) for each in _xavier(outcomes))
  for each in many:
    share = _saturated(each)
    holds &= bool(share.low > _LOST * limit)
    told = claims.told(share, '%')
    parts.append(f'{each.label}: {told} of the last hidden units saturated')
  parts.append(f'at most {limit:.2%} with Xavier')
  return claims.finding(holds, '; '.join(parts))


def _saturated(outcome: Outcome) -> stats.Estimate:
  return claims.mean(outcome.measured['saturated'][:, -2])


XAVIER = (
  Claim(
    'lecture 10, similar ranges',
    'With b = sqrt(6) / sqrt(H_k + H_(k-1)), activations and gradients stay in '
    'similar ranges from layer to layer.',
    f'{_LAROCHELLE}; {_DATA_SCIENCE}',
    check_xavier,
  ),
  Claim(
    'lecture 10, both distributions',
    'Xavier uniform and Xavier normal do the same: they share their variance.',
    _DATA_SCIENCE,
    check_distributions,
  ),
  Claim(
    'lecture 10, not of a fixed size',
    'Uniform in +-0.1 and normal of deviation 0.1 do not: the signal is lost '
    'in few units, many units saturate.',
    _DATA_SCIENCE,
    check_tenth,
  ),
)


def check_kept(outcomes: Sequence[Outcome]) -> Finding:
  """The test error of the best of five seeds by validation, less their mean.

  Groups of five seeds share no seed, so what they gain is independent. A seed
  that diverged is never kept, nor counted in the mean, which would be higher.

  Holds if the interval of the mean gain over groups lies below 0. It does not
  where seeds differ by chance alone or validation errors do not tell by what.

  Untested if there are less than 100 seeds, or several settings.
  """
  outcome = claims.one(outcomes)
  seeds = len(outcome.seeds)
  if seeds < 20 * _TRIES:
    raise claims.Untested(f'{seeds} seeds, not {20 * _TRIES}')
  groups = seeds // _TRIES
  valid, test = (
    outcome.measured[field][: groups * _TRIES].reshape(groups, _TRIES)
    for field in ('final_valid_error', 'final_error')
  )
  chosen = np.argmin(np.where(np.isnan(valid), np.inf, valid), axis=1)
  kept = np.take_along_axis(test, chosen[:, None], axis=1)[:, 0]
  alive = np.isfinite(test)
  counted = np.where(alive, test, 0.0).sum(1)
  with np.errstate(invalid='ignore'):
    typical = counted / alive.sum(1)
  gain = claims.mean(kept - typical)
  return claims.finding(
    bool(gain.high < 0),
    f'{groups} groups of {_TRIES} seeds: typical test error '
    f'{claims.told(claims.mean(typical), "%")}, of the seed kept '
    f'{claims.told(claims.mean(kept), "%")}, by '
    f'{claims.told(gain, "%")}',
  )


SEEDS = (
  Claim(
    'lecture 14, several seeds',
    'Try several seeds, keep the best: of five, the one that is best on '
    'validation examples is better than the typical one on others, too.',
    _LAROCHELLE,
    check_kept,
  ),
)
