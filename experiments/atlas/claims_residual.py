"""What papers say of training deep residual networks without normalization."""

import numpy as np

from initlab import claims

_LEARNED = 0.5  # the accuracy from which a network counts as trained
_DEEP = 1000  # blocks


def _accuracies(outcomes, **knobs):
  """Rate -> the interval of the accuracy; 0 of a seed that diverged."""
  found = claims.every(outcomes, **knobs)
  return {
    each.config.learning_rate: claims.mean(
      np.nan_to_num(each.measured['accuracy']), len(found)
    )
    for each in found
  }


@claims.claim(
  'atlas 8, 1,000 blocks', 'Zhang et al., 2019; De & Smith, 2020, section 5'
)
def deep(outcomes):
  """Fixup, SkipInit and ReZero train 1,000 blocks; plain branches do not.

  Holds if with 1,000 blocks the interval of the training accuracy lies above
  1/2 at one of the rates at least with skip_init, and with fixup, and below 1/2
  at every rate with plain branches.

  Untested if one of the three is missing.
  """
  found, told = {}, []
  for branch in ('plain', 'skip_init', 'fixup'):
    rates = _accuracies(outcomes, branch=branch, depth=_DEEP)
    rate = max(rates, key=lambda each: float(rates[each].value))
    found[branch] = rates
    told.append(f'{branch}: {rates[rate]:%} at rate {rate:g}')
  learns = {
    branch: any(each.low > _LEARNED for each in rates.values())
    for branch, rates in found.items()
  }
  fails = all(each.high < _LEARNED for each in found['plain'].values())
  holds = fails and learns['skip_init'] and learns['fixup']
  return claims.finding(holds, '; '.join(told))


@claims.claim('atlas 8, one rate', 'Zhang et al., 2019, section 3')
def one_rate(outcomes):
  """Fixup's networks learn at a rate that does not depend on their depth.

  Holds if at one of the rates the interval of the training accuracy lies above
  1/2 at every depth with fixup.

  Untested if the depths do not span a factor of 10.
  """
  found = claims.every(outcomes, branch='fixup')
  depths = sorted({each.config.depth for each in found})
  if depths[-1] < 10 * depths[0]:
    raise claims.Untested('no range of depths')
  columns = [_accuracies(found, depth=depth) for depth in depths]
  least = {
    rate: min((each[rate] for each in columns), key=lambda x: float(x.low))
    for rate in set.intersection(*map(set, columns))
  }
  told = [f'rate {rate:g}: {each:%} at least' for rate, each in least.items()]
  holds = any(each.low > _LEARNED for each in least.values())
  return claims.finding(holds, '; '.join(told))


TRAINING = (deep, one_rate)
