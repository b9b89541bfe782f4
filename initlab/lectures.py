"""What lectures say of networks that other programs measure.

XAVIER is checked on `experiments.variance`, with Xavier's weights in both
distributions and weights of a fixed size in one run, at few and at many units;
SEEDS on `experiments.learning`, with a hundred seeds or more.
"""

from collections.abc import Sequence

import numpy as np

from initlab import base, claims, stats

# Ranges are similar that are of the same order of magnitude, of a ratio nearer
# to 1 than to 10. A signal is lost, and units saturate, by a factor of 10.
_SIMILAR, _LOST = 10**0.5, 10.0
_TRIES = 5  # seeds of which the best is kept
_DATA_SCIENCE = '365 Data Science, "Xavier (Glorot) initialization"'
_LAROCHELLE = 'Hugo Larochelle, Neural networks, "Parameter initialization"'


def _over_layers(outcome: base.Outcome, field: str) -> stats.Estimate:
  """The last hidden layer over the first."""
  values = outcome.measured[field]
  if values.shape[1] < 3:
    raise claims.Untested('one hidden layer has no other to compare with')
  return stats.paired_ratio(values[:, -2], values[:, 0])


def _similar(estimate: stats.Estimate) -> bool:
  return bool((estimate.low > 1 / _SIMILAR) & (estimate.high < _SIMILAR))


def _told(outcome: base.Outcome) -> str:
  up, down = (
    claims.told(_over_layers(outcome, field))
    for field in ('activation_std', 'gradient_std')
  )
  return f'{outcome.label}: activations x {up}, gradients x {down}'


def _xavier(outcomes: Sequence[base.Outcome]) -> list[base.Outcome]:
  return [
    each
    for distribution in ('uniform', 'normal')
    for each in claims.every(outcomes, init=f'glorot_{distribution}')
  ]


def _tenth(outcomes: Sequence[base.Outcome]) -> list[base.Outcome]:
  return [
    each
    for init in ('uniform_tenth', 'normal_tenth')
    for each in claims.every(outcomes, init=init)
  ]


def check_xavier(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Of one order over the hidden layers, both ways, at all widths."""
  found = _xavier(outcomes)
  holds = [
    _similar(_over_layers(each, field))
    for each in found
    for field in ('activation_std', 'gradient_std')
  ]
  return claims.finding(all(holds), '; '.join(map(_told, found)))


def check_distributions(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Root mean square over the hidden layers alike within 20%, both ways."""
  pairs = list(
    zip(
      claims.every(outcomes, init='glorot_uniform'),
      claims.every(outcomes, init='glorot_normal'),
      strict=True,
    )
  )
  ratios = [
    stats.paired_ratio(
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


def check_tenth(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Few units: the signal is lost. Many: ten times Xavier's units saturate."""
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


def _saturated(outcome: base.Outcome) -> stats.Estimate:
  return stats.mean(outcome.measured['saturated'][:, -2])


XAVIER = (
  base.Claim(
    'lecture 10, similar ranges',
    'With b = sqrt(6) / sqrt(H_k + H_(k-1)), activations and gradients stay in '
    'similar ranges from layer to layer.',
    f'{_LAROCHELLE}; {_DATA_SCIENCE}',
    check_xavier,
  ),
  base.Claim(
    'lecture 10, both distributions',
    'Xavier uniform and Xavier normal do the same: they share their variance.',
    _DATA_SCIENCE,
    check_distributions,
  ),
  base.Claim(
    'lecture 10, not of a fixed size',
    'Uniform in +-0.1 and normal of deviation 0.1 do not: the signal is lost '
    'in few units, many units saturate.',
    _DATA_SCIENCE,
    check_tenth,
  ),
)


def _enough(outcomes: Sequence[base.Outcome]) -> base.Outcome:
  outcome = claims.one(outcomes)
  if len(outcome.seeds) < 100:
    raise claims.Untested(f'{len(outcome.seeds)} seeds, not a hundred')
  return outcome


def check_best(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """The best of five typically ends below the mean and the median seed."""
  outcome = _enough(outcomes)
  errors = outcome.measured['final_error']
  told = lambda estimate: claims.told(estimate, '%')
  mean, median = stats.mean(errors), stats.median(errors)
  tries = [
    k for k in (2, _TRIES, 20) if stats.best_of_k_fewest(k) <= len(errors)
  ]
  best = {k: stats.best_of_k(errors, k, best='lowest') for k in tries}
  worst = float(np.nanmax(errors))
  buys = ', '.join(f'{told(each)} of {k}' for k, each in best.items())
  return claims.finding(
    bool(best[_TRIES].high < min(mean.low, median.low)),
    f'{len(errors)} seeds: mean {told(mean)}, median {told(median)}, worst '
    f'{worst:.2%}; the best, in the median, {buys}',
  )


def check_validated(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """Of five seeds the best on validation examples is better on others.

  Groups of five seeds each share no seed, so their differences from the mean
  of the group are independent.
  """
  outcome = _enough(outcomes)
  groups = len(outcome.seeds) // _TRIES
  valid, test = (
    outcome.measured[field][: groups * _TRIES].reshape(groups, _TRIES)
    for field in ('final_valid_error', 'final_error')
  )
  chosen = np.argmin(np.where(np.isnan(valid), np.inf, valid), axis=1)
  kept = np.take_along_axis(test, chosen[:, None], axis=1)[:, 0]
  gain = stats.paired_difference(kept, np.nanmean(test, axis=1))
  return claims.finding(
    bool(gain.high < 0),
    f'test error of the seed kept less the mean of its {_TRIES}, {groups} '
    f'groups: {claims.told(gain, "%")}',
  )


SEEDS = (
  base.Claim(
    'lecture 14, several seeds',
    'Try several seeds: the best of five is better than the typical seed.',
    _LAROCHELLE,
    check_best,
  ),
  base.Claim(
    'lecture 14, keep the best',
    'The seed that is best on validation examples is better on others, too.',
    _LAROCHELLE,
    check_validated,
  ),
)
