"""Estimates, intervals and tests with the seed as the unit.

Every function takes `[S, ...]` values, one row a seed, and works on each of the
trailing entries (layers, steps) by itself, in float64. A seed whose value is
not finite is left out of that entry and out of its `n`, never of its `total`:
an estimate says how many of how many seeds are in it. The unit of all but
`wilson` and `holm` is that of the values, unless stated.

Every function raises `base.UserError` for no seeds at all, for values that are
not paired where pairs are wanted, and for a confidence outside (0, 1).
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import numpy as np

from initlab import base


class Estimate(NamedTuple):
  """A value with its interval.

  value: `[...]`, NaN where no seed is finite.
  low: `[...]` lower end of the interval, NaN where n is too small for one.
  high: `[...]` upper end.
  n: `[...]` how many seeds the estimate rests on: the finite ones.
  total: of how many.
  """

  value: np.ndarray
  low: np.ndarray
  high: np.ndarray
  n: np.ndarray
  total: int


class PValue(NamedTuple):
  """A p-value.

  p: `[...]`, NaN where no seed is finite.
  n: `[...]` how many pairs the test rests on: those of two finite values.
  total: of how many.
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
    An estimate; one seed has no interval, equal seeds have one of width zero.

  Source: Student, The probable error of a mean, Biometrika 6, 1908.

  Examples:
    >>> m = mean(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> print(f'{m.value} in [{m.low:.3f}, {m.high:.3f}], {m.n} of {m.total}')
    2.0 in [-0.484, 4.484], 3 of 4
  """
  tail = _tail(confidence)
  return _estimate(values, lambda x: _student(x, tail))


def geometric_mean(
  values: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """Geometric mean of positive values: exp of `mean` of their logarithms.

  Args:
    values: `[S, ...]`, not negative. Zeros have no logarithm: they are left
      out, and of n, like what is not finite.
    confidence: as for `mean`, exact for lognormal values.

  Raises:
    UserError: a value is negative.

  Examples:
    >>> float(geometric_mean(np.array([1.0, 4.0])).value)
    2.0
  """
  values = np.asarray(values, np.float64)
  if np.any(values < 0):
    raise base.UserError('a geometric mean is of positive values only')
  with np.errstate(divide='ignore'):
    logs = mean(np.log(values), confidence)
  value, low, high = np.exp(logs[:3])
  return logs._replace(value=value, low=low, high=high)


def paired_ratio(
  a: base.ArrayLike, b: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """By what factor a exceeds b: `geometric_mean` of a / b, seed by seed.

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
  """By how much a exceeds b: `mean` of a - b, seed by seed.

  Args:
    a: `[S, ...]`.
    b: `[S, ...]`, the same seeds in the same order.
    confidence: as for `mean`.
  """
  return mean(_difference(a, b), confidence)


def median(
  values: base.ArrayLike, confidence: float = 0.95, resamples: int = 9999
) -> Estimate:
  """Median with the percentile bootstrap interval.

  Args:
    values: `[S, ...]`.
    confidence: nominal probability that the interval covers. Its ends are
      values of seeds (or halfway between two), so it covers in steps.
    resamples: how many times the seeds are drawn again, always the same draws.

  Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.
  """

  def function(x: np.ndarray) -> _Ends:
    return _bootstrap(x, lambda x: np.median(x, 1), confidence, resamples)

  return _estimate(values, function)


def interquartile_mean(
  values: base.ArrayLike, confidence: float = 0.95, resamples: int = 9999
) -> Estimate:
  """Mean of the middle half with the percentile bootstrap interval.

  The floor(n / 4) lowest and as many highest seeds are cut: less noisy than the
  median, less swayed by a few bad seeds than the mean.

  Args:
    values: `[S, ...]`.
    confidence: nominal probability that the interval covers; for normal values
      and 0.95 it is 0.90 at 5 seeds, 0.93 at 10 and 0.94 at 20.
    resamples: how many times the seeds are drawn again, always the same draws.

  Source: Agarwal et al., Deep reinforcement learning at the edge of the
  statistical precipice, NeurIPS 2021, section 4.3.
  """
  from scipy import stats

  def function(x: np.ndarray) -> _Ends:
    return _bootstrap(
      x, lambda x: stats.trim_mean(x, 0.25, 1), confidence, resamples
    )

  return _estimate(values, function)


def best_of_k(
  values: base.ArrayLike,
  k: int,
  *,
  best: str,
  confidence: float = 0.95,
  resamples: int = 9999,
) -> Estimate:
  """Expected best of k seeds, with the percentile bootstrap interval.

  The mean of the best over all choices of k of the S seeds; with x_1 the best,
      sum_j x_j C(S - j, k - 1) / C(S, k).

  A seed that is not finite counts as a try, and as the worst: the estimate is
  infinite where k seeds may all be such. `n` is the finite ones as ever.

  Args:
    values: `[S, ...]`.
    k: 1 <= k <= S.
    best: 'lowest' (errors, losses) or 'highest'.
    confidence: nominal probability that the interval covers.
    resamples: how many times the seeds are drawn again, always the same draws.

  Raises:
    UserError: k or best is not one of those.

  Source: Dodge et al., Show your work, EMNLP 2019, section 3, where the k are
  drawn with replacement.

  Examples:
    >>> e = best_of_k(np.array([3.0, 1.0, 2.0]), 2, best='lowest')
    >>> print(f'{e.value:.4f}')  # Of (3, 1), (3, 2) and (1, 2).
    1.3333
  """
  values = _seeds(values)
  total = len(values)
  if best not in ('lowest', 'highest'):
    raise base.UserError(f"best is 'lowest' or 'highest', not {best!r}")
  if not 1 <= k <= total:
    raise base.UserError(f'k={k} is not from 1 to the {total} seeds there are')
  j = np.arange(total - k)
  factors = np.cumprod((total - k - j) / (total - 1 - j))
  weights = k / total * np.concatenate([[1.0], factors])[:, None]
  sign = 1.0 if best == 'lowest' else -1.0
  finite = np.isfinite(values)
  tries = np.where(finite, sign * values, np.inf).reshape(total, -1)

  def statistic(x: np.ndarray) -> np.ndarray:
    return np.sum(weights * np.sort(x, 1)[:, : len(weights)], 1)

  ends = _bootstrap(tries, statistic, confidence, resamples)
  value, low, high = (sign * end.reshape(values.shape[1:]) for end in ends)
  low, high = (low, high) if best == 'lowest' else (high, low)
  return Estimate(value, low, high, finite.sum(0), total)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
  """Share of successes with Wilson's score interval.

  Args:
    successes: how many of the seeds, 0 <= successes <= n.
    n: how many seeds.
    confidence: nominal probability that the interval covers.

  Returns:
    An estimate of a share in [0, 1]; its interval is never empty, not even at
    0 or n successes.

  Raises:
    UserError: no seeds, or a count outside 0 to n.

  Source: Wilson, J. Am. Stat. Assoc. 22, 1927, through SciPy.

  Examples:
    >>> share = wilson(0, 20)
    >>> print(f'{share.value} in [{share.low}, {share.high:.3f}]')
    0.0 in [0.0, 0.161]
  """
  from scipy import stats

  _tail(confidence)
  if not 0 <= successes <= n or n == 0:
    raise base.UserError(f'{successes} of {n} seeds is not a share')
  test = stats.binomtest(successes, n)
  low, high = test.proportion_ci(confidence, 'wilson')
  value, low, high, count = map(np.asarray, (successes / n, low, high, n))
  return Estimate(value, low, high, count, n)


# Comparisons paired by seed.


def effect_size(
  a: base.ArrayLike, b: base.ArrayLike, confidence: float = 0.95
) -> Estimate:
  """Mean difference over the spread of differences, corrected for small n.

  With m and s the mean and standard deviation of a - b, Cohen's d_z = m / s,
  times Hedges' J = Gamma(f/2) / (sqrt(f/2) Gamma((f - 1)/2)), f = n - 1, which
  makes it unbiased for normal differences. The interval holds the effects d for
  which sqrt(n) m / s is no surprise, a noncentral t of noncentrality sqrt(n) d.

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
    near = special.nctdtrinc(n - 1, 1 - tail, t) / np.sqrt(n)
    far = special.nctdtrinc(n - 1, tail, t) / np.sqrt(n)
    low, high = np.where(m < 0, [-far, -near], [near, far])
    low, high = (np.where(s > 0, end, d) for end in (low, high))
    return np.exp(log_j) / np.sqrt(half) * d, low, high

  return _estimate(_difference(a, b), function)


def permutation_test(
  a: base.ArrayLike,
  b: base.ArrayLike,
  resamples: int = 9999,
  variance: float = 0.0,
) -> PValue:
  """Two-sided p-value of no difference, by flipping the signs of a - b.

  The statistic is Student's t of the differences, which orders the sign
  patterns as the mean difference does. With `2**n <= resamples` all patterns
  are used and p is exact; otherwise the same random ones at each call, and p is
  at least `2 / (resamples + 1)`.

  Args:
    a: `[S, ...]`.
    b: `[S, ...]`, the same seeds in the same order.
    resamples: how many sign patterns at most.
    variance: v, of the mean difference, beyond that between the seeds, as of a
      choice that all of them share (`tuning`). The t of the data is then
      m / sqrt(s^2 / n + v), with m and s the mean and deviation of a - b.

  Returns:
    p-values, not corrected for being many: see `holm`. NaN below two pairs,
    which show nothing.

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
  """Holm's correction of p-values for being many.

  The i-th smallest of m becomes max over j <= i of (m - j + 1) p_j, at most 1:
  calling those below alpha significant errs at all with probability alpha.

  Args:
    p_values: `[...]`, all comparisons of one family. NaN is none, and stays.

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
) -> np.ndarray:
  """How many seeds a two-sided paired t-test needs to see a difference.

  The smallest n for which a noncentral t of n - 1 degrees and noncentrality
  sqrt(n) difference / s is beyond Student's critical value with the probability
  `power`, with s the standard deviation of a - b, taken as known.

  Args:
    a: `[S, ...]` of a pilot.
    b: `[S, ...]`, the same seeds in the same order.
    difference: of the means, in their unit, above 0.
    power: probability to see it, between alpha and 1.
    alpha: probability to see one that is not there, between 0 and 1.

  Returns:
    `[...]` whole numbers as float64, at least 2; infinite where the 2**32 seeds
    there are do not suffice, NaN where fewer than 2 pairs are finite.

  Raises:
    UserError: difference, power or alpha is none of those.

  Source: Cohen, Statistical Power Analysis, 1988, section 2.3.
  """
  from scipy import special

  if not difference > 0:
    raise base.UserError(f'difference {difference} is not above 0')
  if not 0 < alpha < power < 1:
    raise base.UserError(f'not 0 < alpha={alpha} < power={power} < 1')

  def enough(n: np.ndarray, effect: np.ndarray) -> np.ndarray:
    critical = special.stdtrit(n - 1, 1 - alpha / 2)
    ends = np.stack([-critical, critical])
    # SciPy's lower tail is NaN for some probabilities below 1e-15.
    below = np.nan_to_num(special.nctdtr(n - 1, np.sqrt(n) * effect, ends))
    return below[1] - below[0] <= 1 - power

  def function(x: np.ndarray) -> _Ends:
    if len(x) < 2:
      return _unknown(x)
    s = _moments(x)[1]
    effect = difference / np.maximum(s, 1e-6 * difference)
    few, many = np.full_like(s, 2.0), np.full_like(s, 2.0**32)
    possible = enough(many, effect)
    while np.any(few < many):  # The answer is from few to many.
      middle = np.floor((few + many) / 2)
      yes = enough(middle, effect)
      few, many = np.where(yes, few, middle + 1), np.where(yes, middle, many)
      few = np.minimum(few, many)
    needed = np.where(possible, many, np.inf)
    return needed, needed, needed

  return _estimate(_difference(a, b), function).value


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
  """The probability beyond one end of an interval."""
  if not 0 < confidence < 1:
    raise base.UserError(f'confidence {confidence} is not between 0 and 1')
  return (1 - confidence) / 2


def _estimate(
  values: base.ArrayLike, function: Callable[[np.ndarray], _Ends]
) -> Estimate:
  """Applies a function of `[n, K]` finite values, once a pattern of seeds."""
  values = _seeds(values)
  flat = values.reshape(len(values), -1)
  finite = np.isfinite(flat)
  ends = np.full((3, flat.shape[1]), np.nan)
  for pattern in np.unique(finite, axis=1).T:
    if pattern.any():
      own = np.all(finite == pattern[:, None], axis=0)
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
  return x[0] + rest.mean(0), rest.std(0, ddof=1)


def _student(x: np.ndarray, tail: float) -> _Ends:
  from scipy import special

  n = len(x)
  if n == 1:
    return x[0], *_unknown(x)[1:]
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


def _batch(x: np.ndarray) -> int:
  """Resamples at a time, so that they hold some 2**22 values."""
  return max(1, 2**22 // max(1, x.size))


def _bootstrap(
  x: np.ndarray,
  statistic: Callable[[np.ndarray], np.ndarray],
  confidence: float,
  resamples: int,
) -> _Ends:
  """Percentile interval of a statistic `[R, n, K] -> [R, K]`.

  The R resamples take the same seeds in all K columns. The ends are the
  resamples of rank floor((R + 1) tail) from either side; scipy.stats.bootstrap
  would interpolate, which is NaN between infinities.
  """
  n, rank = len(x), int((resamples + 1) * _tail(confidence))
  if rank < 1:
    raise base.UserError(
      f'{resamples} resamples are too few for confidence {confidence}'
    )
  value = statistic(x[None])[0]
  if n == 1:
    return value, *_unknown(x)[1:]
  draws = np.random.default_rng(0)
  parts = np.array_split(np.arange(resamples), -(-resamples // _batch(x)))
  drawn = np.concatenate(
    [statistic(x[draws.integers(n, size=(len(part), n))]) for part in parts]
  )
  drawn = np.partition(drawn, [rank - 1, resamples - rank], axis=0)
  return value, drawn[rank - 1], drawn[resamples - rank]
