"""Checks of an initializer against the law that it declares.

`check` takes any callable `(key, shape, dtype) -> array`, of this package or of
another, and raises AssertionError with the name of the first check that fails.

False alarms. Every statistical test here rejects a right initializer with a
probability of at most ALPHA = 1e-10. A check makes fewer than 10 of them, or
100 for the positions of sparse weights, and the suite makes 250 checks, 10 of
them of sparse weights: fewer than 4,000 tests, so the probability that any of
them raises a false alarm is below 4e-7. The seeds are fixed, so a run that
passes will pass again.

Power. Z = 6.47 standard errors. The sample variance of n independent entries of
kurtosis k has the relative standard error sqrt((k - 1) / n), at most
sqrt(2 / n) = 0.195% for the default n = 2^19. A std off by 1%, which is a
variance off by 2%, is thus at least 10.2 standard errors away.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from initlab import base, keys

ALPHA = 1e-10
Z = scipy.stats.norm.isf(ALPHA / 2)
DRAWS = 2**19

# Draws to matrices `[N, n_in, n_out]`, for kernels that are not one already.
Matrices = Callable[[np.ndarray], np.ndarray]

_INDEPENDENT = ('uniform', 'normal', 'truncated_normal')


def check(
  initializer: base.Initializer,
  law: base.Law,
  shape: tuple[int, ...],
  matrices: Matrices = lambda draws: draws,
  draws: int = DRAWS,
) -> None:
  """Raises AssertionError if the float32 draws do not follow the law.

  Args:
    initializer: what is checked.
    law: what it should draw.
    shape: of the kernel that it is asked for.
    matrices: `[S, *shape]` draws to `[N, n_in, n_out]`; for the structured
      families, whose laws are about matrices.
    draws: about how many entries to look at.
  """
  w = sample(initializer, shape, draws)
  again = sample(initializer, shape, draws)
  chex.assert_shape(w, (None, *shape))
  assert np.isfinite(w).all(), 'finite: the draws hold NaN or infinity'
  assert np.array_equal(w, again), 'determinism: one key gave two arrays'
  w = w.astype(np.float64)
  if law.family == 'fixed':
    _check_fixed(w, law)
    return
  _check_keys(w)
  _check_mean(w, law)
  if law.family in _INDEPENDENT:
    _check_variance(w, law, _kurtosis(law))
    _check_distribution(w.ravel(), _cdf(law), 'the law')
    _check_independence(w, law)
  elif law.family == 'orthogonal':
    _check_orthogonal(matrices(w), law)
  else:
    _check_sparse(matrices(w), law)


def check_low_precision(
  initializer: base.Initializer, law: base.Law, shape: tuple[int, ...]
) -> None:
  """Raises AssertionError if bfloat16 or float16 draws are coarse or biased.

  Of an octave [2^e, 2^(e+1)) and its negative, bfloat16 holds 256 values and
  float16 2048. Each of the three laws has at least four octaves with a
  probability above 0.05, so n = 2^19 entries hit a bfloat16 value there 100
  times on average and a float16 value 12 times: all 1024, and at least 4096 of
  8192, are seen but for a probability below e^-90. Draws made in these types
  take their values from a grid of 128 and of 1024.
  """
  for dtype, least in ((jnp.bfloat16, 1000), (jnp.float16, 4000)):
    w = sample(initializer, shape, DRAWS, dtype)
    name = jnp.dtype(dtype).name
    assert w.dtype == dtype, f'dtype: {w.dtype} where {name} was asked'
    if law.family in _INDEPENDENT:
      distinct = np.count_nonzero(np.bincount(w.view(np.uint16).ravel()))
      assert distinct > least, f'precision: {distinct} values in {name}'
    if law.family != 'fixed':
      _check_mean(w.astype(np.float64), law)


def sample(
  initializer: base.Initializer,
  shape: tuple[int, ...],
  draws: int,
  dtype: Any = jnp.float32,
) -> np.ndarray:
  """`[S, *shape]`, one kernel a seed, about `draws` entries in all."""
  seeds = jnp.arange(max(2, draws // int(np.prod(shape))), dtype=jnp.uint32)
  key = keys.root(2010)
  draw = lambda seed: initializer(keys.at(key, seed), shape, dtype)
  return np.asarray(jax.vmap(draw)(seeds))


def _check_fixed(w: np.ndarray, law: base.Law) -> None:
  assert (w == w[0]).all(), 'fixed: the draws depend on the key'
  # Squares of float32 numbers that were rounded once: 2^-23 relative.
  np.testing.assert_allclose(
    np.mean(w[0] ** 2), law.variance, rtol=2**-22, err_msg='variance'
  )


def _check_keys(w: np.ndarray) -> None:
  different = len({draw.tobytes() for draw in w})
  assert different == len(w), f'keys: {len(w)} keys, {different} arrays'


def _check_mean(w: np.ndarray, law: base.Law) -> None:
  # Uncorrelated entries of mean zero, in every family.
  z = np.mean(w) * np.sqrt(w.size / law.variance)
  assert abs(z) < Z, f'mean: {np.mean(w):.3g}, {z:.1f} standard errors from 0'


def _check_variance(w: np.ndarray, law: base.Law, kurtosis: float) -> None:
  ratio = np.mean(w**2) / law.variance
  z = (ratio - 1) / np.sqrt((kurtosis - 1) / w.size)
  assert abs(z) < Z, (
    f'variance: {ratio:.4f} of the law, {z:.1f} standard errors off'
  )


def _check_distribution(
  values: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray], what: str
) -> None:
  p = scipy.stats.kstest(values, cdf, mode='asymp').pvalue
  assert p > ALPHA, f'distribution: Kolmogorov-Smirnov of {what}, p = {p:.2g}'


def _check_independence(w: np.ndarray, law: base.Law) -> None:
  # The mean product of n pairs of independent entries has the standard error
  # variance / sqrt(n). Neighbours along each axis, seeds included.
  for axis in range(w.ndim):
    if w.shape[axis] > 1:
      first, last = np.split(w, [w.shape[axis] // 2], axis)
      size = min(first.shape[axis], last.shape[axis])
      product = first.take(range(size), axis) * last.take(range(size), axis)
      z = np.mean(product) * np.sqrt(product.size) / law.variance
      assert abs(z) < Z, f'independence: along axis {axis}, z = {z:.1f}'


def _check_orthogonal(w: np.ndarray, law: base.Law) -> None:
  _, n_in, n_out = w.shape
  length = max(n_in, n_out)
  unit = w / np.sqrt(law.variance * length)
  tall = unit if n_in >= n_out else unit.mT
  gram = np.einsum('nij,nik->njk', tall, tall)
  # Householder's Q is orthogonal to a few units of 2^-24 times its size.
  error = np.max(np.abs(gram - np.eye(min(n_in, n_out))))
  assert error < 1e-5, f'orthogonality: off by {error:.2g}'
  # The square of an entry of a Haar matrix is Beta(1/2, (length - 1)/2), and
  # its sign is fair. LAPACK's own signs make the diagonal one-sided.
  cdf = lambda t: (1 + np.sign(t) * _beta(t**2, length)) / 2
  for corner in (0, -1):
    _check_distribution(unit[:, corner, corner], cdf, 'a corner, Haar')


def _beta(square: np.ndarray, length: int) -> np.ndarray:
  return scipy.special.betainc(0.5, (length - 1) / 2, np.minimum(square, 1))


def _check_sparse(w: np.ndarray, law: base.Law) -> None:
  size, n_in, n_out = w.shape
  counts = np.count_nonzero(w, axis=1)
  count = counts[0, 0]
  assert (counts == count).all(), 'sparsity: units differ in their inputs'
  values = w[w != 0]
  spread = base.Law('normal', law.variance * n_in / count)
  _check_variance(values, spread, _kurtosis(spread))
  _check_distribution(values, _cdf(spread), 'the nonzeros')
  # Each input is kept by a unit with probability share, units independently.
  share = count / n_in
  kept = np.count_nonzero(w, axis=(0, 2)) / (size * n_out)
  error = np.sqrt(share * (1 - share) / (size * n_out))
  assert (abs(kept - share) <= Z * error).all(), 'sparsity: uneven positions'


def _kurtosis(law: base.Law) -> float:
  if law.family == 'truncated_normal':
    return 3 + float(scipy.stats.truncnorm.stats(-2, 2, moments='k'))
  return {'uniform': 1.8, 'normal': 3.0}[law.family]


def _cdf(law: base.Law) -> Callable[[np.ndarray], np.ndarray]:
  std = np.sqrt(law.variance)
  if law.family == 'uniform':
    return lambda w: np.clip((1 + w / (std * np.sqrt(3))) / 2, 0, 1)
  if law.family == 'normal':
    return lambda w: scipy.special.ndtr(w / std)
  parent = std / float(scipy.stats.truncnorm.std(-2, 2))
  tail = scipy.special.ndtr(-2)
  return lambda w: np.clip(
    (scipy.special.ndtr(w / parent) - tail) / (1 - 2 * tail), 0, 1
  )
