"""What papers say of the singular values of deep networks."""

import numpy as np

from initlab import claims

_CLOSE = 0.15  # of the variance: layers over units enter at the next order
_FAR = 0.05  # between two distributions
_BOUND = 2.0  # up to which the largest singular value is called bounded

SAXE = 'Saxe, McClelland & Ganguli, 2014, figure 6B'
PENNINGTON = 'Pennington, Schoenholz & Ganguli, 2017'


@claims.claim('atlas 3, products', SAXE)
def products(outcomes):
  """Products of normal matrices lose directions, those of orthogonal ones none.

  Holds if in linear networks every singular value of every product of
  orthogonal matrices is 1 to 1e-5; and if with normal ones the share of those
  below a hundredth of their rms is larger after all layers than after half of
  them, by an interval that excludes 0.

  Untested if the run has not both kinds of linear networks.
  """
  ones = claims.one(outcomes, activation='identity', weights='orthogonal')
  normal = claims.one(outcomes, activation='identity', weights='normal')
  off = float(np.max(np.abs(ones.measured['singular_values'] - 1)))
  lost = normal.measured['isolated']
  growth = claims.mean(lost[:, -1] - lost[:, lost.shape[1] // 2 - 1])
  return claims.finding(
    off <= 1e-5 and growth.low > 0,
    f'orthogonal: off by {off:.1e} at most; normal: {lost[:, -1].mean():.1%} '
    f'lost, more by {growth:%}',
  )


@claims.claim('atlas 4, variance', PENNINGTON)
def variance(outcomes):
  """Squared singular values vary by L (mu_2 / mu_1^2 - 1 - s_1).

  That is L of linear layers of normal weights and of ReLU layers of orthogonal
  ones, 2 L of ReLU layers of normal ones, and 8 L q^2 of tanh layers of
  orthogonal ones if q is small. Networks are finite, so it is held to 15%.

  Holds if in every setting with a positive prediction the interval of the whole
  network's variance holds values within 15% of it, and half of the interval is
  no wider than that.

  Untested if no setting has a positive prediction.
  """
  spread = [each for each in outcomes if each.predicted['variance'][-1] > 1e-9]
  if not spread:
    raise claims.Untested('no setting in which singular values differ')
  held, told = [], []
  for each in spread:
    value = float(each.predicted['variance'][-1])
    found = claims.mean(each.measured['variance'][:, -1], len(spread))
    slack = _CLOSE * value
    held.append(claims.agrees(found, value, within=slack, slack=slack))
    told.append(f'{each.label}: {found}, theory {value:.3g}')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim('atlas 4, densities', PENNINGTON)
def densities(outcomes):
  """Singular values have the density that free probability gives them.

  Holds if in every setting the interval of the mean distance of the two
  distributions (Kolmogorov) lies below 0.05.

  Untested if fewer than two settings are there.
  """
  if len(outcomes) < 2:
    raise claims.Untested('a single setting')
  distances = [claims.mean(each.measured['distance']) for each in outcomes]
  told = [
    f'{each.label}: {distance}'
    for each, distance in zip(outcomes, distances, strict=True)
  ]
  holds = all(each.high < _FAR for each in distances)
  return claims.finding(holds, '; '.join(told))


@claims.claim('atlas 4, isometry', PENNINGTON)
def isometry(outcomes):
  """Of nonlinear networks only sigmoidal orthogonal ones are isometric.

  Holds if the interval of the largest singular value lies below 2 for tanh with
  orthogonal weights, and above 2 for tanh with normal weights and for the ReLU
  with either.

  Untested if one of the four is missing, or q is above 0.05.
  """
  good = claims.one(outcomes, activation='tanh', weights='orthogonal')
  if good.config.q > 0.05:
    raise claims.Untested('q is not small')
  bad = [
    claims.one(outcomes, activation='tanh', weights='normal'),
    claims.one(outcomes, activation='relu', weights='normal'),
    claims.one(outcomes, activation='relu', weights='orthogonal'),
  ]
  largest = [
    claims.mean(each.measured['last_largest']) for each in (good, *bad)
  ]
  told = [
    f'{each.label}: {found}'
    for each, found in zip((good, *bad), largest, strict=True)
  ]
  holds = largest[0].high < _BOUND and all(x.low > _BOUND for x in largest[1:])
  return claims.finding(holds, '; '.join(told))


PRODUCTS = (products, variance)
JACOBIANS = (variance, densities, isometry)
