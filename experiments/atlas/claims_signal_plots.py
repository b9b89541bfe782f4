"""What Brock, De & Smith see in signal propagation plots."""

import numpy as np

from initlab import claims

_CLOSE = 0.1  # of a growth a block, and of a relative variance
_SHIFTED = 0.1  # a squared mean over the variance, from which means matter
_LEVEL = 0.05  # up to which they do not


def _stages(outcome, field):
  """`[S, stages, blocks]` of a field."""
  values = outcome.measured[field]
  return values.reshape(len(values), -1, outcome.config.blocks)


@claims.claim('atlas 7, batch', 'Brock et al., 2021, section 3')
def batch(outcomes):
  """Batch-normalized, the variance grows by 1 a block and is reset by stages.

  Holds if in every stage the interval of the growth a block holds values within
  0.1 of 1 - 2 / (3 n), squared, which is 1 but for the padding of n x n pixels,
  half of it being no wider than that; and if that of the variance at the start
  of every later stage, less that at the end of the one before, lies below 0.

  Untested if the run has no batch normalization, or one stage.
  """
  found = claims.one(outcomes, norm='batch')
  variance = _stages(found, 'variance')
  count = variance.shape[1]
  if count < 2:
    raise claims.Untested('one stage')
  rise = variance[..., -1] - variance[..., 0]
  growth = claims.mean(rise / (found.config.blocks - 1), count)
  side = found.config.side / 2.0 ** np.arange(count)
  expected = (1 - 2 / (3 * side)) ** 2
  level = claims.agrees(growth, expected, within=_CLOSE, slack=_CLOSE)
  fall = claims.mean(variance[:, 1:, 0] - variance[:, :-1, -1])
  told = ', '.join(f'{value:.3f}' for value in growth.value)
  return claims.finding(
    claims.together([level, bool(np.all(fall.high < 0))]),
    f'growth a block {told}; at a new stage it falls by '
    f'{float(np.min(-fall.high)):.3g} at least',
  )


@claims.claim('atlas 7, means', 'Brock et al., 2021, section 4')
def means(outcomes):
  """Without standardized kernels the means of channels grow; with them not.

  Holds if in front of the last block the interval of the average squared mean
  of a channel over its average variance lies above 0.1 and above that in front
  of the first block with expected, and below 0.05 in front of every block with
  standardized.

  Untested if the run has not both.
  """
  plain, standardized = (
    claims.one(outcomes, norm=norm) for norm in ('expected', 'standardized')
  )
  shares = [
    each.measured['mean_square'] / each.measured['variance']
    for each in (plain, standardized)
  ]
  last = claims.mean(shares[0][:, -1])
  grows = claims.mean(shares[0][:, -1] - shares[0][:, 0])
  level = claims.mean(shares[1])
  largest = float(np.max(level.high))
  holds = last.low > _SHIFTED and grows.low > 0 and largest < _LEVEL
  return claims.finding(
    holds,
    f'squared mean over variance: {last} at the end, grown by {grows}; '
    f'standardized: at most {largest:.3g}',
  )


@claims.claim('atlas 7, variance', 'Brock et al., 2021, section 4')
def expected(outcomes):
  """With standardized kernels the variance is what the network expects.

  Holds if in front of the last block of every stage the interval of the average
  variance, over 1 + l a^2 of the l-th block and branches times a, holds values
  within 0.1 of 1, half of it being no wider than that.

  Untested if the run has no standardized kernels.
  """
  found = claims.one(outcomes, norm='standardized')
  variance = _stages(found, 'variance')[..., -1]
  count = variance.shape[1]
  before = found.config.blocks - 1 + (np.arange(count) > 0)
  ratio = claims.mean(variance / (1 + before * found.config.branch**2), count)
  told = ', '.join(f'{value:.3f}' for value in ratio.value)
  agrees = claims.agrees(ratio, np.ones(count), within=_CLOSE, slack=_CLOSE)
  return claims.finding(agrees, f'over what is expected: {told}')


CLAIMS = (batch, means, expected)
