"""The tests that `testing` makes of draws, family by family.

A test returns its name and how many statistical tests it made, 0 if it is
exact; it raises AssertionError if the draws fail. Every statistical test
rejects right draws with probability at most ALPHA.
"""

from collections.abc import Callable, Iterator, Sequence
import statistics
from typing import Any

import numpy as np

from initlab import base, kernels

ALPHA = 1e-10
Z = -statistics.NormalDist().inv_cdf(ALPHA / 2)
_ANGLES = 2**17

# Draws to matrices `[N, n_in, n_out]`, for other kernel layouts.
Matrices = Callable[[np.ndarray], np.ndarray]

# Name of a test -> number of statistical tests; 0 for an exact one.
Counts = dict[str, int]


def require(holds: Any, message: str) -> None:
  """Like `assert`, but also under `python -O`."""
  if not holds:
    raise AssertionError(message)


def run(tests: Sequence[Callable[[], Counts]]) -> Counts:
  """Runs all tests and raises one AssertionError with all messages."""
  failures, counts = [], {}
  for test in tests:
    try:
      for name, count in test().items():
        counts[name] = counts.get(name, 0) + count
    except AssertionError as failure:
      failures.append(str(failure).strip())
  require(not failures, '\n'.join(failures))
  return counts


def tests_of(
  w: np.ndarray, law: base.Law, matrices: Matrices
) -> list[Callable[[], Counts]]:
  """The tests of the family of a law.

  Args:
    w: `[S, *shape]` float64 draws.
    law: the expected law.
    matrices: draws to `[N, n_in, n_out]`, for the structured families.
  """
  tests = [lambda: _check_keys(w), lambda: check_mean(w, law)]
  if law.family in kernels.DISTRIBUTIONS:
    tests = [lambda: _check_keys(w), *_tests_of_entries(w, law)]
  elif law.family == 'independent':
    tests += [
      lambda: _check_variance(w, law),
      lambda: _check_independence(w, law),
      lambda: _check_lengths(w**2, 'squares'),
      lambda: _check_lengths((w != 0).astype(float), 'nonzeros'),
    ]
  elif law.family == 'orthogonal':
    tests += [
      lambda: _check_orthogonal(matrices(w), law),
      lambda: _check_haar(matrices(w), law),
      lambda: _check_independence(w, law),
    ]
  elif law.family == 'sparse':
    tests += [lambda: _check_sparse(matrices(w), law)]
  elif law.family == 'mirrored':
    tests += [lambda: _check_mirrored(matrices(w), law)]
  elif law.family == 'near_identity':
    tests = [
      lambda: _check_keys(w),
      lambda: _check_near_identity(matrices(w), law),
    ]
  else:
    tests = [lambda: _check_fixed(w, law)]
  return tests


def _check_fixed(w: np.ndarray, law: base.Law) -> Counts:
  require((w == w[0]).all(), 'fixed: the draws depend on the key')
  # Squares of float32 numbers, rounded once: relative error 2^-23.
  variance = np.mean(w[0] ** 2)
  require(
    abs(variance - law.variance) <= 2**-22 * law.variance,
    f'variance: {variance:.7g} where the law has {law.variance:.7g}',
  )
  return {'fixed': 0, 'variance': 0}


def _check_keys(w: np.ndarray) -> Counts:
  different = len({draw.tobytes() for draw in w})
  require(different == len(w), f'keys: {len(w)} keys, {different} arrays')
  return {'keys': 0}


def check_mean(w: np.ndarray, law: base.Law) -> Counts:
  """Tests the mean of uncorrelated entries, which is zero in every family."""
  z = np.mean(w) * np.sqrt(w.size / law.variance)
  require(abs(z) < Z, f'mean: {np.mean(w):.3g}, {z:.1f} standard errors from 0')
  return {'mean': 1}


def _check_variance(w: np.ndarray, law: base.Law) -> Counts:
  ratio = np.mean(w**2) / law.variance
  # Draws of one size, as of signs, are rounded to float32: 2^-23 of a square.
  excess = max(_kurtosis(w, law) - 1, 0)
  z = (ratio - 1) / max(np.sqrt(excess / w.size), 2.0**-23)
  require(
    abs(z) < Z, f'variance: {ratio:.4f} of the law, {z:.1f} standard errors off'
  )
  return {'variance': 1}


def _check_distribution(
  values: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray], what: str
) -> Counts:
  import scipy.stats

  p = scipy.stats.kstest(values, cdf, mode='asymp').pvalue
  require(p > ALPHA, f'distribution: Kolmogorov-Smirnov of {what}, p = {p:.2g}')
  return {'distribution': 1}


def _check_independence(w: np.ndarray, law: base.Law) -> Counts:
  # Haar entries within one matrix are uncorrelated, and the products of two of
  # them vary less than those of independent entries.
  return _check_uncorrelated(w, law.variance, range(w.ndim), np.ones_like)


def _check_uncorrelated(
  w: np.ndarray,
  variance: float,
  axes: Sequence[int],
  random: Callable[[np.ndarray], np.ndarray],
) -> Counts:
  # Given one of two independent entries, x, the sum of n products x y has the
  # variance `variance` times the sum of x^2, over the y that are random.
  count = 0
  for axis in axes:
    for what, x, y in _pairs(w, axis):
      count += 1
      spread = np.sqrt(variance * np.sum(np.where(random(y), x, 0) ** 2))
      z = np.sum(x * y) / max(spread, np.finfo(float).tiny)
      require(
        abs(z) < Z, f'independence: along axis {axis}, {what}, z = {z:.1f}'
      )
  return {'independence': count}


def _tests_of_entries(
  w: np.ndarray, law: base.Law
) -> list[Callable[[], Counts]]:
  """Tests of independent entries of one of the three distributions."""
  return [
    lambda: check_mean(w, law),
    lambda: _check_variance(w, law),
    lambda: _check_distribution(w.ravel(), cdf(law), 'the law'),
    lambda: _check_independence(w, law),
  ]


def _check_lengths(values: np.ndarray, what: str) -> Counts:
  """Tests whether sums along an axis vary like those of independent entries.

  They vary less if the lengths of rows or columns are fixed, as for orthogonal
  and sparse weights, and more if entries share a scale. For
  G sums of n entries of variance v and excess kurtosis k, their mean square
  about n E x is n v chi^2 / f with about f = 2 G / (2 + k / n) degrees of
  freedom, exactly so as n grows. Below 50 a p of ALPHA is out of reach.
  """
  import scipy.stats

  mean, variance = values.mean(), values.var()
  if variance == 0:
    return {}
  excess = np.mean((values - mean) ** 4) / variance**2 - 3
  count = 0
  for axis in range(values.ndim):
    size = values.shape[axis]
    sums = values.sum(axis=axis) - size * mean
    freedom = 2 * sums.size / (2 + excess / size)
    if size < 2 or freedom < 50:
      continue
    count += 1
    ratio = np.mean(sums**2) / (size * variance)
    chi2 = scipy.stats.chi2(freedom)
    p = 2 * min(chi2.cdf(ratio * freedom), chi2.sf(ratio * freedom))
    require(
      p > ALPHA,
      f'independence: the sums of {what} along axis {axis} have {ratio:.3g} of '
      f'the variance that those of independent entries have, p = {p:.2g}',
    )
  return {'independence': count}


def _pairs(
  w: np.ndarray, axis: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
  """Ways to pair slices along an axis; no slice is in two pairs of one way."""
  size = w.shape[axis]
  starts = {
    'neighbours': np.arange(0, size - 1, 2),
    'neighbours, the other ones': np.arange(1, size - 1, 2),
    'first and last half': np.arange(size // 2),
  }
  for what, start in starts.items():
    distance = size // 2 if what.startswith('first') else 1
    if len(start):
      yield what, w.take(start, axis), w.take(start + distance, axis)


def _check_orthogonal(w: np.ndarray, law: base.Law) -> Counts:
  _, n_in, n_out = w.shape
  length = max(n_in, n_out)
  unit = w / np.sqrt(law.variance * length)
  tall = unit if n_in >= n_out else unit.mT
  gram = np.einsum('nij,nik->njk', tall, tall)
  # Householder's Q is orthogonal to a few units of 2^-24 times its size.
  error = np.max(np.abs(gram - np.eye(min(n_in, n_out))))
  require(error < 1e-5, f'orthogonality: off by {error:.2g}')
  return {'orthogonality': 0}


def _check_haar(w: np.ndarray, law: base.Law) -> Counts:
  length, tests = max(w.shape[1:]), []
  unit = w / np.sqrt(law.variance * length)
  if w.shape[1] == w.shape[2]:
    positive = np.linalg.det(unit) > 0
    tests.append(lambda: _check_fair(positive, 'the determinants'))
  some = unit[: -(-_ANGLES // unit[0].size)]
  angles, signs = _hurwitz(some if w.shape[1] == length else some.mT)
  uniform = lambda p: p
  # LAPACK's own signs, say, show in the leading angles only.
  leading = np.concatenate([angle[:, 0] for angle in angles])
  every = np.concatenate([angle.ravel() for angle in angles])
  return run(
    [
      *tests,
      lambda: _check_distribution(leading, uniform, 'the leading angles, Haar'),
      lambda: _check_distribution(every, uniform, 'all angles, Haar'),
      lambda: _check_fair(signs.ravel() > 0, 'the last signs of the columns'),
    ]
  )


def _hurwitz(columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
  """Hurwitz's angles of orthonormal columns, as uniform numbers if Haar.

  The first column of a Haar matrix is uniform on the sphere of n dimensions.
  The reflection that takes it to +-e_1 leaves of the others a Haar matrix of
  one row less, independent of it, and so on. Of a vector u uniform on the
  sphere of m dimensions, t_i = u_i / |(u_i, ..., u_m)|, i < m, are independent,
  t_i^2 ~ Beta(1/2, (m - i) / 2) with a fair sign, and so is the sign of u_m.

  Args:
    columns: `[N, n, k]`, n >= k.

  Returns:
    For each column of m > 1 dimensions `[N, m - 1]` independent uniform
    numbers, the distribution functions at t; and the last signs, `[N, k]`.

  References:
    Hurwitz, Ueber die Erzeugung der Invarianten durch Integration, 1897.
    Mezzadri, 2007, section 4. https://arxiv.org/abs/math-ph/0609050
  """
  import scipy.special

  rest, angles, signs = columns, [], []
  while rest.shape[2]:
    u = rest[:, :, 0]
    signs.append(np.sign(u[:, -1]))
    if rest.shape[1] > 1:
      tails = np.sqrt(np.cumsum(u[:, ::-1] ** 2, axis=1)[:, ::-1])
      t = (u / np.maximum(tails, np.finfo(float).tiny))[:, :-1]
      left = np.arange(t.shape[1], 0, -1)
      beta = scipy.special.betainc(0.5, left / 2, np.minimum(t**2, 1))
      angles.append((1 + np.sign(t) * beta) / 2)
    mirror = u.copy()
    mirror[:, 0] += np.where(u[:, 0] < 0, -1, 1)
    mirror /= np.linalg.norm(mirror, axis=1, keepdims=True)
    overlaps = np.einsum('ni,nij->nj', mirror, rest)
    rest = rest - 2 * mirror[:, :, None] * overlaps[:, None, :]
    rest = rest[:, 1:, 1:]
  return angles, np.stack(signs, axis=1)


def _check_fair(coins: np.ndarray, what: str) -> Counts:
  import scipy.stats

  heads = np.count_nonzero(coins)
  p = scipy.stats.binomtest(heads, coins.size).pvalue
  require(
    p > ALPHA, f'signs: {what} are positive {heads} of {coins.size} times'
  )
  return {'signs': 1}


def _check_sparse(w: np.ndarray, law: base.Law) -> Counts:
  size, n_in, n_out = w.shape
  kept = w != 0
  counts = np.count_nonzero(kept, axis=1)
  count = int(counts[0, 0])
  require((counts == count).all(), 'sparsity: units differ in their inputs')
  require(count > 0, 'sparsity: all zero')
  spread = base.Law('normal', law.variance * n_in / count)
  # The nonzeros of every unit, in the order of its inputs.
  values = w.mT[kept.mT].reshape(size, n_out, count)
  variance = spread.variance
  return run(
    [
      lambda: _check_variance(values, spread),
      lambda: _check_distribution(values.ravel(), cdf(spread), 'the nonzeros'),
      lambda: _check_uncorrelated(w, variance, (0, 1, 2), np.abs),
      lambda: _check_uncorrelated(values, variance, (0, 1), np.abs),
      lambda: _check_kept(kept, count),
    ]
  )


def _check_mirrored(w: np.ndarray, law: base.Law) -> Counts:
  _, n_in, n_out = w.shape
  half_in, half_out = -(-n_in // 2), -(-n_out // 2)
  block = w[:, :half_in, :half_out]
  mirrored = np.block([[block, -block], [-block, block]])[:, :n_in, :n_out]
  require((w == mirrored).all(), 'mirror: blocks are not each other negated')
  counts = run(
    [lambda: _check_orthogonal(block, law), lambda: _check_haar(block, law)]
  )
  return {'mirror': 0} | counts


def _check_near_identity(w: np.ndarray, law: base.Law) -> Counts:
  _, n_in, n_out = w.shape
  identity = np.tile(np.eye(n_in), -(-n_out // n_in))[:, :n_out]
  noise = base.Law('normal', law.variance - 1 / n_in)
  return run(_tests_of_entries(w - identity, noise))


def _check_kept(kept: np.ndarray, count: int) -> Counts:
  import scipy.stats

  size, n_in, n_out = kept.shape
  # The number of units that keep an input is binomial: units are independent.
  total = np.count_nonzero(kept, axis=(0, 2))
  units = scipy.stats.binom(size * n_out, count / n_in)
  p = np.minimum(units.cdf(total), units.sf(total - 1))
  require((2 * p > ALPHA).all(), 'sparsity: some inputs are kept too often')
  tests = n_in
  for axis in (0, 2):
    for what, x, y in _pairs(kept, axis):
      tests += 1
      shared = np.count_nonzero(x & y, axis=1)
      p = _p_shared(shared.sum(), shared.size, n_in, count)
      require(
        p > ALPHA,
        f'sparsity: {what} along axis {axis} share {shared.mean():.3g} inputs',
      )
  return {'sparsity': tests}


def _p_shared(shared: int, pairs: int, n_in: int, count: int) -> float:
  """Two-sided p of the total number of inputs shared by pairs of units.

  Its distribution is that of one pair convolved with itself.
  """
  import scipy.stats

  one = scipy.stats.hypergeom.pmf(np.arange(count + 1), n_in, count, count)
  size = pairs * count + 1
  law = np.fft.irfft(np.fft.rfft(one, size) ** pairs, size)
  return 2 * min(law[: shared + 1].sum(), law[shared:].sum())


def _kurtosis(w: np.ndarray, law: base.Law) -> Any:
  """The kurtosis of the law, or of the draws if the law has none."""
  import scipy.stats

  if law.family == 'truncated_normal':
    return 3 + np.asarray(scipy.stats.truncnorm.stats(-2, 2, moments='k'))
  if law.family == 'independent':
    return float(np.mean(w**4) / np.mean(w**2) ** 2)
  return {'uniform': 1.8, 'normal': 3.0}[law.family]


def cdf(law: base.Law) -> Callable[[np.ndarray], np.ndarray]:
  """The distribution function of a uniform, (truncated) normal law."""
  from scipy import special

  std = np.sqrt(law.variance)
  if law.family == 'uniform':
    return lambda w: np.clip((1 + w / (std * np.sqrt(3))) / 2, 0, 1)
  if law.family == 'normal':
    return lambda w: special.ndtr(w / std)
  parent = std / kernels.TRUNCATED_STD
  tail = special.ndtr(-2)
  return lambda w: np.clip(
    (special.ndtr(w / parent) - tail) / (1 - 2 * tail), 0, 1
  )
