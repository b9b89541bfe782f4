"""Estimates, intervals and tests with the seed as the unit.

Every function takes `[S, ...]` values, one row per seed, and treats each of the
trailing entries (layers, steps) separately, in float64. Non-finite values are
excluded from an entry and its `n`, but counted in `total`. Except for `share`
and `holm`, estimates have the unit of the values, unless stated.

`scripts/coverage` simulates the coverage of the 95% intervals for normal,
log-normal and uniform values and 2 to 64 seeds; docs/coverage.md lists it.
Where it is below 93% for a law that an interval is meant for, there is none:
below `FEWEST` seeds, for most. Intervals of means, effect sizes and seeds
needed are not meant for log-normal values, of which they cover much less.

Every function raises `base.UserError` if there are no seeds, if values are not
paired although required, and for a confidence outside (0, 1).
"""

import bisect
import collections
from collections.abc import Callable
import functools
import math
from typing import NamedTuple

import numpy as np

from initlab import base, formatting
from initlab.experiment import Outcome

# Seeds below which means have no interval: Student's is exact for normal values
# at 2, but for uniform ones it covers 92.6, 92.3 and 92.9% at 2, 3 and 4 seeds.
FEWEST = 5

# Of a t: beyond, its noncentrality is taken from a limit.
_LARGE = 1000.0


class Estimate(NamedTuple):
  """A value with its interval.

  value: `[...]`, NaN where no seed is finite.
  low: `[...]` lower end of the interval, NaN where n is too small for one.
  high: `[...]` upper end.
  n: `[...]` the number of finite seeds.
  total: the number of seeds.

  A single estimate is formatted by `formatting.interval`, with '%' as a
  percentage:

    >>> found = Estimate(0.51234, 0.5, 0.525, 32, 32)
    >>> f'{found}, {found:%}'
    '0.512 [0.500, 0.525], 51.2% [50.0%, 52.5%]'
  """

  value: np.ndarray
  low: np.ndarray
  high: np.ndarray
  n: np.ndarray
  total: int

  def at(self, *place: int) -> 'Estimate':
    """The estimate at one place of its shape."""
    value, low, high, n = (np.asarray(part)[place] for part in self[:4])
    return Estimate(value, low, high, n, self.total)

  def within(self, low: float, high: float) -> bool:
    """Whether every interval lies strictly between two numbers."""
    return bool(np.all((self.low > low) & (self.high < high)))

  def __format__(self, unit: str) -> str:
    if not self.n:
      return 'unknown'
    value, low, high = map(float, self[:3])
    return formatting.interval(value, low, high, unit)

  def __str__(self) -> str:
    return format(self)


class PValue(NamedTuple):
  """A p-value.

  p: `[...]`, NaN where no seed is finite.
  n: `[...]` the number of pairs of finite values.
  total: the number of pairs.
  """

  p: np.ndarray
  n: np.ndarray
  total: int


# Estimates.


def mean(values: base.ArrayLike, confidence: float = 0.95) -> Estimate:
  """Mean with Student's interval, m +- t s / sqrt(n), t of n - 1 degrees.

  Args:
    values: `[S, ...]`.
    confidence: probability that the interval covers the mean of all seeds,
      exact for normal values.

  Returns:
    An estimate. Fewer than FEWEST seeds have no interval; equal values have one
    of width zero. Coverage falls with skewness: 68 to 83% for log-normal values
    of sigma 1.5 and 5 to 64 seeds (use `geometric_mean` for these).

  Source: Student, The probable error of a mean, Biometrika 6, 1908.

  Examples:
    >>> m = mean(np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]))
    >>> print(f'{m.value} in [{m.low:.3f}, {m.high:.3f}], {m.n} of {m.total}')
    3.0 in [1.037, 4.963], 5 of 6
  """
  tail = _tail(confidence)
  return _estimate(values, lambda x: _student(x, tail))


def geometric_mean(
  values: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """Geometric mean of positive values: exp of `mean` of their logarithms.

  Args:
    values: `[S, ...]`, not negative. Zeros have no logarithm: they are excluded
      like non-finite values. If all finite values are zero, so is the mean, and
      they are counted.
    confidence: as for `mean`, exact for log-normal values.

  Raises:
    UserError: a value is negative.

  Examples:
    >>> float(geometric_mean(np.array([1.0, 4.0])).value)
    2.0
  """
  values = _seeds(values)
  if np.any(values < 0):
    raise base.UserError('a geometric mean is of positive values only')
  with np.errstate(divide='ignore'):
    logs = mean(np.log(values), confidence)
  zeros = mean(np.where(values == 0, 0.0, np.nan), confidence)
  of_zeros = (logs.n == 0) & (zeros.n > 0)
  value, low, high = (
    np.where(of_zeros, zero, np.exp(log))
    for zero, log in zip(zeros[:3], logs[:3], strict=True)
  )
  n = np.where(of_zeros, zeros.n, logs.n)
  return Estimate(value, low, high, n, len(values))


def average(outcome: Outcome, field: str) -> Estimate:
  """The mean over seeds that reports print and draw.

  Args:
    outcome: one setting.
    field: has a `geometric_mean` if it is in `outcome.geometric`, `shares` if
      it is in `outcome.shares`, otherwise a `mean`.
  """
  return _AVERAGES[mean_name(outcome, field)](outcome.measured[field])


def mean_name(outcome: Outcome, field: str) -> str:
  """The name of `average` of a field: 'mean', 'geometric mean' or 'share'."""
  if field in outcome.shares:
    return 'share'
  return 'geometric mean' if field in outcome.geometric else 'mean'


def of_seeds(estimates: str, fewest_seeds: int, most_seeds: int) -> str:
  """Describes the estimates of a figure by the range of their seeds.

  Examples:
    >>> of_seeds('mean', 30, 32), of_seeds('mean', 3, 3), of_seeds('mean', 1, 1)
    ('mean of 30 to 32 seeds', 'mean of 3 seeds', '1 seed')
  """
  if most_seeds == 1:
    return '1 seed'
  few, many = fewest_seeds, most_seeds
  seeds = str(few) if few == many else f'{few} to {many}'
  return f'{estimates} of {seeds} seeds'


def interval_words(estimates: str, fewest_seeds: int, most_seeds: int) -> str:
  """`of_seeds`, and whether so many have an interval.

  Examples:
    >>> interval_words('mean', 30, 32)
    'mean of 30 to 32 seeds, 95% interval'
    >>> interval_words('mean', 3, 3)
    'mean of 3 seeds, no interval (needs 5)'
    >>> interval_words('mean', 1, 1)
    '1 seed, no interval'
    >>> interval_words('share', 3, 3)
    'share of 3 seeds, 95% interval of Clopper and Pearson'
  """
  found = of_seeds(estimates, fewest_seeds, most_seeds)
  if estimates == 'share':
    return f'{found}, 95% interval of Clopper and Pearson'
  if most_seeds == 1:
    return f'{found}, no interval'
  if most_seeds < FEWEST:
    return f'{found}, no interval (needs {FEWEST})'
  return f'{found}, 95% interval'


def paired_ratio(
  a: base.ArrayLike, b: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """The ratio a / b, paired by seed: its `geometric_mean`.

  Args:
    a: `[S, ...]`, not negative.
    b: `[S, ...]`, the same seeds in the same order.
    confidence: as for `geometric_mean`.

  Examples:
    >>> ratio = paired_ratio(np.array([2.0, 8.0]), np.array([1.0, 1.0]))
    >>> print(f'{ratio.value:.3f}')
    4.000
  """
  a, b = _pair(a, b)
  with np.errstate(divide='ignore', invalid='ignore'):
    return geometric_mean(a / b, confidence)


def paired_difference(
  a: base.ArrayLike, b: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """The difference a - b, paired by seed: its `mean`.

  Args:
    a: `[S, ...]`.
    b: `[S, ...]`, the same seeds in the same order.
    confidence: as for `mean`.
  """
  return mean(_difference(a, b), confidence)


def median(values: base.ArrayLike, confidence: float = 0.95) -> Estimate:
  """Median with the exact interval between two seeds.

  Args:
    values: `[S, ...]`.
    confidence: lower bound on the coverage for any distribution of the values,
      see `quantile_interval`. At 95% it takes 6 seeds.

  Source: Thompson, Ann. Math. Stat. 7, 1936; Conover, Practical Nonparametric
  Statistics, 3rd ed. 1999, section 3.2.

  Examples:
    >>> m = median(np.arange(9.0))
    >>> print(m.value, m.low, m.high)
    4.0 1.0 7.0
  """
  _tail(confidence)

  def function(x: np.ndarray) -> _Ends:
    return np.median(x, 0), *_between(np.sort(x, 0), 0.5, confidence)

  return _estimate(values, function)


def quantile_interval(
  p: float, n: int, confidence: float = 0.95
) -> tuple[int, int] | None:
  """Ranks of the two order statistics that bracket the p-quantile.

  With B ~ Binomial(n, p), the quantile is below the i-th lowest of n seeds with
  probability at most P(B < i), and above the j-th with at most P(B >= j). Both
  are at most (1 - confidence) / 2.

  Args:
    p: of the quantile, between 0 and 1.
    n: the number of seeds.
    confidence: lower bound on the coverage for any distribution.

  Returns:
    (i, j) from 1 to n, or None if n is too small, see `quantile_fewest`.
  """
  from scipy import stats

  tail = _tail(confidence)
  if n < quantile_fewest(p, confidence):
    return None
  ranks = np.arange(1, n + 1)
  below = stats.binom.cdf(ranks - 1, n, p)
  low = int(np.sum(below <= tail))
  high = int(np.sum(1 - below > tail)) + 1
  # So many seeds have the outermost ranks, even where p^n is the tail and is
  # rounded to above it.
  return max(low, 1), min(high, n)


def quantile_fewest(p: float, confidence: float = 0.95) -> int:
  """The fewest seeds for an interval of the p-quantile.

  All n are on one side of it with probability (1 - p)^n or p^n; both must be at
  most (1 - confidence) / 2.

  Examples:
    >>> quantile_fewest(0.5)
    6
  """
  return math.ceil(math.log(_tail(confidence)) / math.log(max(p, 1 - p)))


def interquartile_mean(
  values: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """Mean of the middle half with the interval of Yuen, Tukey and McLaughlin.

  The floor(n / 4) lowest and highest seeds are trimmed, h remain: less noisy
  than the median, more robust than the mean. With D the sum of squared
  deviations of the winsorized seeds from their mean, the interval is
  +- t sqrt(D / (h (h - 1))).

  Args:
    values: `[S, ...]`.
    confidence: nominal probability that the interval covers.

  Returns:
    An estimate, without an interval below FEWEST seeds. t has (h - 1) / 2
    degrees of freedom. With the usual h - 1, coverage is 94% for normal values,
    but only 90 to 93% for uniform and log-normal ones (sigma 1.5) below 32
    seeds; with half of them it is 94 to 99%.

  Source: Tukey and McLaughlin, Sankhya A 25, 1963; Yuen, Biometrika 61, 1974;
  the estimate: Agarwal et al., Deep reinforcement learning at the edge of the
  statistical precipice, NeurIPS 2021, section 4.3.
  """
  tail = _tail(confidence)

  def function(x: np.ndarray) -> _Ends:
    from scipy import special

    n = len(x)
    x = np.sort(x, 0)
    cut = n // 4
    left = n - 2 * cut
    value = _moments(x[cut : n - cut])[0]
    if n < FEWEST:
      return value, *_unknown(x)[1:]
    moved = np.clip(x, x[cut], x[n - 1 - cut])
    squares = np.sum((moved - _moments(moved)[0]) ** 2, 0)
    t = special.stdtrit((left - 1) / 2, 1 - tail)
    half = t * np.sqrt(squares / (left * (left - 1)))
    return value, value - half, value + half

  return _estimate(values, function)


def best_of_k(
  values: base.ArrayLike, k: int, *, best: str, confidence: float = 0.95
) -> Estimate:
  """Median of the best of k seeds, with its exact interval between two seeds.

  What the best of k seeds is below as often as above: the quantile of all seeds
  at 1 - 2^(-1/k) from the best on, estimated by the median of the best over all
  choices of k of the S seeds. The mean of the best, which others print, has no
  interval that covers where k is not far below S: the bootstrap's covers in 66
  to 82% at k = S / 2.

  A seed that is not finite counts as a try, and as the worst: the estimate is
  infinite where half of all choices are such. `n` is the finite ones as ever.

  Args:
    values: `[S, ...]`.
    k: 1 <= k <= S.
    best: 'lowest' (errors, losses) or 'highest'.
    confidence: lower bound on the coverage for any distribution of the values.
      At 95% it takes 5.3 k seeds, see `best_of_k_fewest`.

  Raises:
    UserError: k or best is not one of those.

  Source: `quantile_interval`. Dodge et al., Show your work, EMNLP 2019, section
  3, draw the curve of the expected best.

  Examples:
    >>> e = best_of_k(np.array([3.0, 1.0, 2.0]), 2, best='lowest')
    >>> print(e.value)  # Of (3, 1), (3, 2) and (1, 2): 1, 2 and 1.
    1.0
  """
  values = _seeds(values)
  total = len(values)
  if best not in ('lowest', 'highest'):
    raise base.UserError(f"best is 'lowest' or 'highest', not {best!r}")
  if not 1 <= k <= total:
    raise base.UserError(f'k={k} is not from 1 to the {total} seeds there are')
  finite = np.isfinite(values)
  sign = 1.0 if best == 'lowest' else -1.0
  tries = np.sort(np.where(finite, sign * values, np.inf), 0)
  # The first j of which no more than half of all choices miss the j best.
  choices, missing = math.comb(total, k), lambda j: math.comb(total - j, k)
  j = bisect.bisect_left(range(total), -choices, key=lambda j: -2 * missing(j))
  even = 2 * missing(j) == choices
  value = (tries[j - 1] + tries[j]) / 2 if even else tries[j - 1]
  low, high = _between(tries, 1 - 0.5 ** (1 / k), confidence)
  value, low, high = sign * value, sign * low, sign * high
  low, high = (low, high) if best == 'lowest' else (high, low)
  return Estimate(value, low, high, finite.sum(0), total)


def best_of_k_fewest(k: int, confidence: float = 0.95) -> int:
  """The fewest seeds for an interval of `best_of_k`.

  Examples:
    >>> [best_of_k_fewest(k) for k in (1, 2, 5, 20)]
    [6, 11, 27, 107]
  """
  return quantile_fewest(1 - 0.5 ** (1 / k), confidence)


def share(successes: int, n: int, confidence: float = 0.95) -> Estimate:
  """Share of successes with the exact interval of Clopper and Pearson.

  Args:
    successes: how many of the seeds, 0 <= successes <= n.
    n: how many seeds.
    confidence: lower bound on the coverage for any share. Wilson's interval is
      shorter, but its coverage is 86% for a share of 5% and 3 seeds.

  Returns:
    An estimate of a share in [0, 1]; its interval is never empty, not even at
    0 or n successes.

  Raises:
    UserError: no seeds, or a count outside 0 to n.

  Source: Clopper and Pearson, Biometrika 26, 1934, through SciPy.

  Examples:
    >>> none = share(0, 20)
    >>> print(f'{none.value} in [{none.low}, {none.high:.3f}]')
    0.0 in [0.0, 0.168]
  """
  from scipy import stats

  _tail(confidence)
  if not 0 <= successes <= n or n == 0:
    raise base.UserError(f'{successes} of {n} seeds is not a share')
  test = stats.binomtest(successes, n)
  low, high = test.proportion_ci(confidence, 'exact')
  value, low, high, count = map(np.asarray, (successes / n, low, high, n))
  return Estimate(value, low, high, count, n)


def shares(values: base.ArrayLike, confidence: float = 0.95) -> Estimate:
  """Share of the seeds that are 1, not 0: `share` of each entry.

  Args:
    values: `[S, ...]`, each 0 or 1, or not finite.
    confidence: as for `share`.

  Raises:
    UserError: a finite value is neither 0 nor 1.

  Examples:
    >>> found = shares(np.array([True, True, True]))
    >>> print(f'{found.value} in [{found.low:.3f}, {found.high}]')
    1.0 in [0.292, 1.0]
  """
  values = _seeds(values)
  if not np.isin(values[np.isfinite(values)], (0, 1)).all():
    raise base.UserError('a share is of seeds that are 0 or 1 each')

  def function(x: np.ndarray) -> _Ends:
    found = [share(int(each), len(x), confidence) for each in x.sum(0)]
    value, low, high = np.array([each[:3] for each in found]).T
    return value, low, high

  return _estimate(values, function)


def mean_or_share(values: base.ArrayLike) -> Estimate:
  """`shares` of booleans, `mean` of numbers, `[S, ...]`."""
  return (shares if np.asarray(values).dtype == bool else mean)(values)


# Name of a mean over seeds -> its estimate.
_AVERAGES = {'mean': mean, 'geometric mean': geometric_mean, 'share': shares}


# Comparisons paired by seed.


def effect_size(
  a: base.ArrayLike, b: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """Mean difference over the spread of differences, corrected for small n.

  With m and s the mean and standard deviation of a - b, Cohen's d_z = m / s,
  times Hedges' J = Gamma(f/2) / (sqrt(f/2) Gamma((f - 1)/2)), f = n - 1, which
  makes it unbiased for normal differences. The interval inverts the noncentral
  t distribution of sqrt(n) m / s, with noncentrality sqrt(n) d.

  Args:
    a: `[S, ...]`.
    b: `[S, ...]`, the same seeds in the same order.
    confidence: as for `mean`.

  Returns:
    An estimate without unit; NaN below 3 pairs, infinite where all differences
    are the same but 0, and 0 where all are 0.

  Source: Hedges, J. Educ. Stat. 6, 1981; Lakens, Front. Psychol. 4, 2013.
  """
  from scipy import special

  tail = _tail(confidence)

  def function(x: np.ndarray) -> _Ends:
    n = len(x)
    if n < 3:
      return _unknown(x)
    m, s = _moments(x)
    with np.errstate(divide='ignore', invalid='ignore'):
      d = np.where(m == 0, 0.0, m / s)
    half = (n - 1) / 2
    log_j = special.gammaln(half) - special.gammaln(half - 0.5)
    t = np.sqrt(n) * np.abs(np.where(s > 0, d, 0.0))
    near, far = (
      _noncentrality(n - 1, p, t) / np.sqrt(n) for p in (1 - tail, tail)
    )
    low, high = np.where(m < 0, [-far, -near], [near, far])
    low, high = (np.where(s > 0, end, d) for end in (low, high))
    return np.exp(log_j) / np.sqrt(half) * d, low, high

  return _estimate(_difference(a, b), function)


def _noncentrality(degrees: int, p: float, t: np.ndarray) -> np.ndarray:
  """The noncentrality at which P(T <= t) = p.

  Beyond _LARGE it is the limit of a normal term that is nothing beside t,
  t w with w^2 = chi^2 / degrees at 1 - p: SciPy's search takes a time that
  grows with t, and errs by 0.2% at 10^4. The limit errs by a relative
  ((degrees - 1) / w^2 - degrees) / (2 t^2), 2e-5 for 2 degrees at 95%.
  """
  from scipy import special

  limit = t * np.sqrt(special.chdtri(degrees, p) / degrees)
  found = special.nctdtrinc(degrees, p, np.minimum(t, _LARGE))
  return np.where(t > _LARGE, limit, found)


def permutation_test(
  a: base.ArrayLike,
  b: base.ArrayLike,
  resamples: int = 9999,
  variance: float = 0.0,
) -> PValue:
  """Two-sided p-value of no difference, by flipping the signs of a - b.

  The statistic is Student's t of the differences, which is monotone in the mean
  difference. With `2**n <= resamples` all sign patterns are used and p is
  exact; otherwise a fixed random sample, and p is at least
  `2 / (resamples + 1)`.

  Args:
    a: `[S, ...]`.
    b: `[S, ...]`, the same seeds in the same order.
    resamples: the most sign patterns.
    variance: v, extra variance of the mean difference beyond that between
      seeds, e.g. of a choice shared by all of them (`tuning`). The t of the
      data is then m / sqrt(s^2 / n + v), with m and s the mean and standard
      deviation of a - b.

  Returns:
    p-values, not corrected for multiple comparisons, see `holm`. NaN below two
    pairs.

  Source: Fisher, The Design of Experiments, 1935, section 21.

  Examples:
    >>> test = permutation_test(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    >>> print(test.p, test.n)  # 2 of 8 sign patterns are as extreme.
    0.25 3
  """

  def function(x: np.ndarray) -> _Ends:
    n = len(x)
    if n < 2:
      return _unknown(x)
    signs = _signs(n, resamples)
    null = signs @ x / n
    # With q the sum of squares, the same for all patterns, a pattern's t^2 is
    # (n - 1) n m^2 / (q - n m^2): its |t| is that of the data or more where its
    # |m| is that of the data times sqrt(q / (q + n (n - 1) v)), or more.
    q = np.sum(x**2, axis=0)
    widened = np.where(q > 0, q + n * (n - 1) * variance, 1.0)
    observed = x.mean(0) * np.sqrt(q / widened)
    rounding = 100 * np.finfo(float).eps * np.abs(x).mean(0)
    below = np.sum(null <= observed + rounding, axis=0)
    above = np.sum(null >= observed - rounding, axis=0)
    more = len(signs) < 2**n  # beside the random ones, the pattern of the data
    tail = (np.minimum(below, above) + more) / (len(signs) + more)
    p = np.minimum(2 * tail, 1.0)
    return p, p, p

  estimate = _estimate(_difference(a, b), function)
  return PValue(estimate.value, estimate.n, estimate.total)


def holm(p_values: base.ArrayLike) -> np.ndarray:
  """Holm's correction of p-values for multiple comparisons.

  The i-th smallest of m becomes max over j <= i of (m - j + 1) p_j, at most 1.
  It controls the family-wise error rate.

  Args:
    p_values: `[...]`, all comparisons of one family. NaN is ignored and kept.

  Returns:
    `[...]` corrected p-values.

  Raises:
    UserError: a p-value is outside [0, 1].

  Source: Holm, Scand. J. Stat. 6, 1979.

  Examples:
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
  """
  p_values = np.asarray(p_values, np.float64)
  if np.any((p_values < 0) | (p_values > 1)):
    raise base.UserError('a p-value is from 0 to 1')
  p = p_values[~np.isnan(p_values)]
  order = np.argsort(p)
  steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
  p[order] = np.minimum(steps, 1.0)
  corrected = np.full(p_values.shape, np.nan)
  corrected[~np.isnan(p_values)] = p
  return corrected


def seeds_needed(
  a: base.ArrayLike,
  b: base.ArrayLike,
  difference: float,
  power: float = 0.8,
  alpha: float = 0.05,
  assurance: float = 0.8,
  confidence: float = 0.95,
) -> Estimate:
  """The number of seeds for a two-sided paired t-test of given power.

  The smallest n for which a noncentral t of n - 1 degrees and noncentrality
  sqrt(n) difference / sigma exceeds Student's critical value with probability
  `power`. A pilot of m pairs estimates the standard deviation sigma of a - b by
  s, which is too small in half of all pilots; using s for sigma, 3 pairs give a
  mean power of 0.6 instead of 0.8. So sigma is taken as s sqrt((m - 1) / c), c
  the quantile of chi square of m - 1 degrees at 1 - assurance: for normal
  differences, a share `assurance` of pilots then gives at least that power.

  Args:
    a: `[S, ...]` of a pilot.
    b: `[S, ...]`, the same seeds in the same order.
    difference: of the means, in their unit, above 0.
    power: probability to detect it, between alpha and 1.
    alpha: probability of a false positive, between 0 and 1.
    assurance: share of pilots whose n has the power, between 0 and 1.
    confidence: of the interval, exact for normal differences.

  Returns:
    An estimate of whole numbers as float64, at least 2; infinite if 2**32 seeds
    are too few, NaN if fewer than 2 pairs are finite. low and high belong to
    the ends of the interval of sigma, s sqrt((m - 1) / c) with c at both tails.

  Raises:
    UserError: difference, power, alpha or assurance is out of range.

  Source: Cohen, Statistical Power Analysis, 1988, section 2.3; Browne, On the
  use of a pilot sample for sample size determination, Stat. Med. 14, 1995.
  """
  from scipy import special

  if not difference > 0:
    raise base.UserError(f'difference {difference} is not above 0')
  if not 0 < alpha < power < 1:
    raise base.UserError(f'not 0 < alpha={alpha} < power={power} < 1')
  if not 0 < assurance < 1:
    raise base.UserError(f'assurance {assurance} is not between 0 and 1')
  tail = _tail(confidence)

  def function(x: np.ndarray) -> _Ends:
    if len(x) < 2:
      return _unknown(x)
    s, degrees = _moments(x)[1], len(x) - 1
    value, low, high = (
      seeds_for(difference, s * np.sqrt(degrees / c), power, alpha)
      for c in special.chdtri(degrees, [assurance, tail, 1 - tail])
    )
    return value, low, high

  return _estimate(_difference(a, b), function)


def seeds_for(
  difference: float,
  deviation: np.ndarray,
  power: float = 0.8,
  alpha: float = 0.05,
) -> np.ndarray:
  """`seeds_needed` for a known standard deviation.

  Args:
    difference: of the means, above 0.
    deviation: `[K]` standard deviations of the differences, in its unit.
    power, alpha: as for `seeds_needed`.

  Returns:
    `[K]` whole numbers as float64.
  """
  from scipy import special

  effect = difference / np.maximum(deviation, 1e-6 * difference)

  def enough(n: np.ndarray) -> np.ndarray:
    critical = special.stdtrit(n - 1, 1 - alpha / 2)
    ends = np.stack([-critical, critical])
    # SciPy's lower tail is NaN for some probabilities below 1e-15.
    below = np.nan_to_num(special.nctdtr(n - 1, np.sqrt(n) * effect, ends))
    return below[1] - below[0] <= 1 - power

  few, many = (np.full_like(deviation, each) for each in (2.0, 2.0**32))
  possible = enough(many)
  while np.any(few < many):  # The answer is from few to many.
    middle = np.floor((few + many) / 2)
    yes = enough(middle)
    few, many = np.where(yes, few, middle + 1), np.where(yes, middle, many)
    few = np.minimum(few, many)
  return np.where(possible, many, np.inf)


# Within.

_Ends = tuple[np.ndarray, np.ndarray, np.ndarray]  # Value, low and high, `[K]`.


def _seeds(values: base.ArrayLike) -> np.ndarray:
  values = np.asarray(values, np.float64)
  if values.ndim == 0 or len(values) == 0:
    raise base.UserError('there are no seeds to estimate from')
  return values


def _pair(
  a: base.ArrayLike, b: base.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  a, b = _seeds(a), _seeds(b)
  if a.shape != b.shape:
    raise base.UserError(
      f'values of shapes {a.shape} and {b.shape} are not paired by seed'
    )
  return a, b


def _difference(a: base.ArrayLike, b: base.ArrayLike) -> np.ndarray:
  a, b = _pair(a, b)
  with np.errstate(invalid='ignore'):
    return a - b


def _tail(confidence: float) -> float:
  """The probability beyond each end of an interval."""
  if not 0 < confidence < 1:
    raise base.UserError(f'confidence {confidence} is not between 0 and 1')
  return (1 - confidence) / 2


def _estimate(
  values: base.ArrayLike, function: Callable[[np.ndarray], _Ends]
) -> Estimate:
  """Applies a function of `[n, K]` finite values, per set of finite seeds."""
  values = _seeds(values)
  flat = values.reshape(len(values), -1)
  finite = np.isfinite(flat)
  ends = np.full((3, flat.shape[1]), np.nan)
  columns = collections.defaultdict(list)
  for place, pattern in enumerate(finite.T):
    columns[pattern.tobytes()].append(place)
  for own in columns.values():
    pattern = finite[:, own[0]]
    if pattern.any():
      ends[:, own] = function(flat[np.ix_(pattern, own)])
  value, low, high = ends.reshape(3, *values.shape[1:])
  n = finite.sum(0).reshape(values.shape[1:])
  return Estimate(value, low, high, n, len(values))


def _unknown(x: np.ndarray) -> _Ends:
  nan = np.full(x.shape[1], np.nan)
  return nan, nan, nan


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation (n - 1); exactly x and 0 for equal x."""
  rest = x - x[0]
  s = rest.std(0, ddof=1) if len(x) > 1 else np.full(x.shape[1:], np.nan)
  return x[0] + rest.mean(0), s


def _student(x: np.ndarray, tail: float) -> _Ends:
  from scipy import special

  n = len(x)
  if n < FEWEST:
    return _moments(x)[0], *_unknown(x)[1:]
  m, s = _moments(x)
  half = special.stdtrit(n - 1, 1 - tail) * s / np.sqrt(n)
  return m, m - half, m + half


@functools.lru_cache(maxsize=4)
def _signs(n: int, resamples: int) -> np.ndarray:
  """All sign patterns of n seeds, `[2^n, n]`, or that many random ones."""
  if 2**n <= resamples:
    return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
  draws = np.random.default_rng(0)
  return 1.0 - 2.0 * draws.integers(2, size=(resamples, n))


def _between(
  ordered: np.ndarray, p: float, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
  """The two of `[n, ...]` ascending values that bracket the p-quantile."""
  ranks = quantile_interval(p, len(ordered), confidence)
  if ranks is None:
    nan = np.full(ordered.shape[1:], np.nan)
    return nan, nan
  return ordered[ranks[0] - 1], ordered[ranks[1] - 1]
