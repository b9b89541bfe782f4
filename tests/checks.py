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

from collections.abc import Callable, Mapping, Sequence
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
ENTRIES = 2**19

# Draws to matrices `[N, n_in, n_out]`, for kernels that are not one already.
Matrices = Callable[[np.ndarray], np.ndarray]

_INDEPENDENT = ('uniform', 'normal', 'truncated_normal')


def check(
  initializer: base.Initializer,
  law: base.Law,
  shape: tuple[int, ...],
  matrices: Matrices = lambda w: w,
  entries: int = ENTRIES,
) -> None:
  """Raises AssertionError if the float32 draws do not follow the law.

  Args:
    initializer: what is checked.
    law: what it should draw.
    shape: of the kernel that it is asked for.
    matrices: see `check_draws`.
    entries: about how many to look at.
  """
  w = sample(initializer, shape, entries)
  chex.assert_shape(w, (None, *shape))
  # A fault here shows in the first draws, or it is an unlikely one.
  again = sample(initializer, shape, 1)
  assert np.array_equal(w[: len(again)], again, equal_nan=True), (
    'determinism: one key gave two arrays'
  )
  check_draws(w, law, matrices)


def check_draws(
  w: np.ndarray, law: base.Law, matrices: Matrices = lambda w: w
) -> None:
  """Raises AssertionError, a line a failed check, if the law is not theirs.

  Args:
    w: `[S, *shape]` float32 draws, one a key, S >= 2.
    law: what they should follow.
    matrices: `[S, *shape]` draws to `[N, n_in, n_out]`, for the structured
      families, whose laws are about matrices.
  """
  assert w.dtype == np.float32, f'dtype: {w.dtype} where float32 was asked'
  assert np.isfinite(w).all(), 'finite: the draws hold NaN or infinity'
  w = w.astype(np.float64)
  tests = [lambda: _check_keys(w), lambda: _check_mean(w, law)]
  if law.family in _INDEPENDENT:
    tests += [
      lambda: _check_variance(w, law),
      lambda: _check_distribution(w.ravel(), _cdf(law), 'the law'),
      lambda: _check_independence(w, law),
    ]
  elif law.family == 'orthogonal':
    tests += [
      lambda: _check_orthogonal(matrices(w), law),
      lambda: _check_haar(matrices(w), law),
    ]
  elif law.family == 'sparse':
    tests += [lambda: _check_sparse(matrices(w), law)]
  else:
    tests = [lambda: _check_fixed(w, law)]
  failures = []
  for test in tests:
    try:
      test()
    except AssertionError as failure:
      failures.append(str(failure).strip())
  assert not failures, '\n'.join(failures)


def check_low_precision(w: np.ndarray, dtype: Any, law: base.Law) -> None:
  """Raises AssertionError if bfloat16 or float16 draws are coarse or biased.

  Of an octave [2^e, 2^(e+1)) and its negative, bfloat16 holds 256 values and
  float16 2048. Each of the three laws has at least four octaves with a
  probability above 0.05, so 2^19 entries hit a bfloat16 value there 100 times
  on average and a float16 value 12 times: all 1024, and at least 4096 of the
  8192, are seen but for a probability below e^-90. Draws made in these types
  take their values from a grid of 128 and of 1024.

  Args:
    w: draws, at least `ENTRIES` entries.
    dtype: that they should be of.
    law: what they should follow.
  """
  name = jnp.dtype(dtype).name
  assert w.dtype == dtype, f'dtype: {w.dtype} where {name} was asked'
  assert w.size >= ENTRIES
  if law.family in _INDEPENDENT:
    distinct = np.count_nonzero(np.bincount(w.view(np.uint16).ravel()))
    least = 1000 if dtype == jnp.bfloat16 else 4000
    assert distinct > least, f'precision: {distinct} values in {name}'
  if law.family != 'fixed':
    _check_mean(w.astype(np.float64), law)


def sample(
  initializer: base.Initializer,
  shape: tuple[int, ...],
  entries: int,
  dtype: Any = jnp.float32,
) -> np.ndarray:
  """`[S, *shape]`, one kernel a key, about `entries` numbers, at least 2 keys.

  A loop, since compiling a draw for many keys takes longer than many draws.
  """
  return np.stack(
    [
      np.asarray(initializer(key, shape, dtype))
      for key in _keys(shape, entries)
    ]
  )


def sample_all(
  initializers: Mapping[str, base.Initializer],
  shape: tuple[int, ...],
  entries: int,
  dtypes: Sequence[Any] = (jnp.float32,),
) -> dict[str, list[np.ndarray]]:
  """`sample` of many initializers, a list of dtypes each, as one program.

  All are given the same raw keys, and the compiler draws their bits only once.
  It is told not to optimize: compiling takes longer than running.
  """
  draw = lambda key: {
    name: [initializer(key, shape, dtype) for dtype in dtypes]
    for name, initializer in initializers.items()
  }
  many = jnp.stack(_keys(shape, entries))
  compiled = jax.jit(
    jax.vmap(draw), compiler_options={'xla_backend_optimization_level': 0}
  )
  return jax.tree.map(np.asarray, compiled(many))


def _keys(shape: tuple[int, ...], entries: int) -> list[base.Key]:
  count = max(2, entries // int(np.prod(shape)))
  return [
    jax.random.key_data(keys.at(keys.root(2010), seed)) for seed in range(count)
  ]


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


def _check_variance(w: np.ndarray, law: base.Law) -> None:
  ratio = np.mean(w**2) / law.variance
  z = (ratio - 1) / np.sqrt((_kurtosis(law) - 1) / w.size)
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


def _check_haar(w: np.ndarray, law: base.Law) -> None:
  # The square of an entry of a Haar matrix is Beta(1/2, (length - 1)/2), and
  # its sign is fair. LAPACK's own signs make the diagonal one-sided.
  length = max(w.shape[1:])
  beta = lambda square: scipy.special.betainc(
    0.5, (length - 1) / 2, np.minimum(square, 1)
  )
  cdf = lambda t: (1 + np.sign(t) * beta(t**2)) / 2
  unit = w / np.sqrt(law.variance * length)
  for corner in (0, -1):
    _check_distribution(unit[:, corner, corner], cdf, 'a corner, Haar')


def _check_sparse(w: np.ndarray, law: base.Law) -> None:
  size, n_in, n_out = w.shape
  counts = np.count_nonzero(w, axis=1)
  count = counts[0, 0]
  assert (counts == count).all(), 'sparsity: units differ in their inputs'
  assert count > 0, 'sparsity: all zero'
  values = w[w != 0]
  spread = base.Law('normal', law.variance * n_in / count)
  _check_variance(values, spread)
  _check_distribution(values, _cdf(spread), 'the nonzeros')
  # How many of the units keep an input is binomial, units being independent.
  kept = np.count_nonzero(w, axis=(0, 2))
  units = scipy.stats.binom(size * n_out, count / n_in)
  p = np.minimum(units.cdf(kept), units.sf(kept - 1))
  assert (2 * p > ALPHA).all(), 'sparsity: some inputs are kept too often'


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
