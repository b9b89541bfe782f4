"""Tests whether an initializer follows its declared law, for any framework.

    print(testing.check_initializer(my_initializer, 'he_normal', (784, 256)))

accepts any callable `(key, shape, dtype) -> array`. It raises AssertionError
with a line for every failed test, or returns a report. For other kernel layouts
give the axes, as for `kernels.Axes`: a convolution of PyTorch is
`in_axis=1, out_axis=0`.

False alarms. Every statistical test rejects a correct initializer with
probability at most ALPHA = 1e-10. A check makes fewer than 22 of them, 15 of
which are the three ways to pair slices along each of up to 5 axes; for sparse
weights it makes one more per input. The keys are fixed, so results are
reproducible. The lab's own suite makes 270 checks, 10 of them of sparse weights
with up to 550 tests: fewer than 12,000 tests, so the probability of any false
alarm is below 1.2e-6.

Power. Z = 6.47 standard errors.

* The sample variance of n independent entries of kurtosis k has the relative
  standard error sqrt((k - 1) / n), at most sqrt(2 / n) = 0.195% for the default
  n = 2^19. A std off by 1%, which is a variance off by 2%, is thus at least
  10.2 standard errors away. A fan of 9 taken for 10 is 10% off, which 2^14
  entries show at 9.1 standard errors.
* Of n pairs of entries, a share c that are equal has z = c sqrt(n).
* The Q of a uniform matrix has Hurwitz angles whose distribution function is
  0.017 off at 32 x 32, as measured: 2^17 entries, which are n = 63,488 angles,
  have p = 2 exp(-2 n 0.017^2) = 2e-16. At 16 x 64 it is 0.034 off.
* Of N square matrices, all of determinant 1 have p = 2^(1 - N): 35 are enough.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import math
import statistics
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, initializers, kernels, keys

ALPHA = 1e-10
Z = -statistics.NormalDist().inv_cdf(ALPHA / 2)
ENTRIES = 2**19
_ANGLES = 2**17

# Draws to matrices `[N, n_in, n_out]`, for other kernel layouts.
Matrices = Callable[[np.ndarray], np.ndarray]

# A declared law: a Law, the name of a scheme of the lab with its knobs, or
# `(n_in, n_out) -> Law`.
Declared = base.Law | str | Callable[[int, int], base.Law]

_DISTRIBUTIONS = tuple(kernels.DISTRIBUTIONS)

# Name of a test -> number of statistical tests; 0 for an exact one.
Counts = dict[str, int]


class Report(NamedTuple):
  """The report of an initializer that passed; `str` gives it as text.

  law: the law tested.
  shape: of the kernel.
  fans: (n_in, n_out) of the law.
  keys: the number of kernels drawn.
  entries: the number of entries drawn.
  tests: name -> number of statistical tests, 0 for an exact one.
  """

  law: base.Law
  shape: tuple[int, ...]
  fans: tuple[int, int]
  keys: int
  entries: int
  tests: Counts

  @property
  def false_alarm(self) -> float:
    """Bound on the probability that a correct initializer fails."""
    return ALPHA * sum(self.tests.values())

  def __str__(self) -> str:
    names = ', '.join(
      f'{name} ({count} tests)' if count > 1 else name
      for name, count in self.tests.items()
    )
    return (
      f'{self.law.family}, Var[w] = {self.law.variance:.6g}, of a kernel of '
      f'shape {self.shape} with n_in = {self.fans[0]}, n_out = {self.fans[1]}: '
      f'passed\n{self.entries:,} entries, {self.keys:,} keys; tested: {names}\n'
      'a correct initializer fails with a probability below '
      f'{self.false_alarm:.1g}'
    )


def check_initializer(
  initializer: base.Initializer,
  law: Declared,
  shape: base.Shape,
  *,
  draws: int = ENTRIES,
  **axes: Unpack[kernels.Axes],
) -> Report:
  """Checks the float32 draws of an initializer against a law.

  Args:
    initializer: `(key, shape, dtype) -> array`, of JAX or of NumPy.
    law: a Law; the name of a scheme, 'he_normal' or 'glorot:gain=2'; or
      `(n_in, n_out) -> Law`. The fans are those of the shape and the axes; for
      orthogonal and sparse weights n_out is that of the matrix, the receptive
      field not counted.
    shape: of the kernel. Rank 1 is allowed only with a Law.
    draws: about how many entries to draw. With the default, a relative error of
      2% in the variance is 10 standard errors.
    **axes: `in_axis`, `out_axis` and `batch_axis`, see `kernels.Axes`.

  Returns:
    The tests made, and their probability of a false alarm.

  Raises:
    AssertionError: a line for each failed test, with the likely cause of a
      wrong variance, such as swapped fans.
    UserError: the axes are ambiguous, or the scheme does not exist.

  Examples:
    >>> he = jax.nn.initializers.he_normal()
    >>> check_initializer(he, 'he_normal', (512, 64))
    Traceback (most recent call last):
    AssertionError: distribution: Kolmogorov-Smirnov of the law, p = ...
    >>> report = check_initializer(he, 'he_truncated_normal', (512, 64))
    >>> report.fans, report.keys, report.false_alarm < 1e-8
    ((512, 64), 16, True)
  """
  shape = tuple(shape)
  first = sample(initializer, shape, 1)
  _require(
    first.shape[1:] == shape,
    f'shape: {first.shape[1:]} where {shape} was asked for',
  )
  w = sample(initializer, shape, draws)
  # Such faults show in the first draws.
  _require(
    np.array_equal(w[: len(first)], first, equal_nan=True),
    'determinism: one key gave two arrays',
  )
  if len(shape) > 1:
    fans = kernels.fans(shape, **axes)
    matrices = lambda w: kernels.matrices(w, **axes)
  else:
    fans, matrices = (shape[0], shape[0]), lambda w: w
  _, *size = matrices(w).shape
  law = _declared(law, fans, size)
  try:
    tests = check_draws(w, law, matrices)
  except AssertionError as failure:
    stack, field = math.prod(shape) / math.prod(size), fans[1] / size[-1]
    causes = _causes(w, law, fans, stack, field)
    raise AssertionError(f'{failure}{causes}') from None
  return Report(law, shape, fans, len(w), w.size, {'determinism': 0} | tests)


def _declared(
  law: Declared, fans: tuple[int, int], size: Sequence[int]
) -> base.Law:
  if isinstance(law, base.Law):
    return law
  of = initializers.resolve(law).law if isinstance(law, str) else law
  structured = of(*fans).family in ('orthogonal', 'sparse', 'mirrored')
  return of(*size) if structured else of(*fans)


def _causes(
  w: np.ndarray,
  law: base.Law,
  fans: tuple[int, int],
  stack: float,
  field: float,
) -> str:
  """Likely causes of a wrong variance, a line each.

  Their factors are within 3 standard errors of the measured one, and more than
  that from 1.
  """
  found = float(np.mean(np.square(w, dtype=float))) / law.variance
  error = 3 * found * math.sqrt(2 / w.size)
  n_in, n_out = fans
  cut = kernels.TRUNCATED_STD**2
  causes = {
    'n_in / n_out: the fans may be swapped, or n_out taken for n_in': (
      n_in / n_out
    ),
    'n_out / n_in: the fans may be swapped, or n_in taken for n_out': (
      n_out / n_in
    ),
    '2 n_in / (n_in + n_out): the mean of the fans may be taken for n_in': (
      2 * n_in / (n_in + n_out)
    ),
    '(n_in + n_out) / (2 n_in): n_in may be taken for the mean of the fans': (
      (n_in + n_out) / (2 * n_in)
    ),
    '2: a gain of sqrt(2), as for the ReLU, may be one too many': 2.0,
    '1/2: the gain of sqrt(2) for the ReLU may be missing': 0.5,
    '1/3: a standard deviation may be taken for the half-width of a uniform '
    'distribution': 1 / 3,
    '3: the half-width of a uniform distribution may be taken for its standard '
    'deviation': 3.0,
    '0.774: what the cut at two standard deviations takes away may not be '
    'given back': cut,
    '1 / 0.774: what the cut at two standard deviations takes away may be '
    'given back twice': 1 / cut,
    '1 / the size of the batch axes: they may be counted in a fan': 1 / stack,
    'the receptive field: it may be left out of the fan': field,
    '1 / the receptive field: the fan may have it twice': 1 / field,
    'Var[w]: a variance may be taken for a standard deviation': law.variance,
  }
  return ''.join(
    f'\n  variance x {factor:.4g} = {cause}'
    for cause, factor in causes.items()
    if abs(found - factor) < error < abs(1 - factor)
  )


def check_draws(
  w: np.ndarray, law: base.Law, matrices: Matrices = lambda w: w
) -> Counts:
  """Raises AssertionError, with a line per failed test, if draws violate a law.

  Args:
    w: `[S, *shape]` float32 draws, one per key, S >= 2.
    law: the expected law.
    matrices: `[S, *shape]` draws to `[N, n_in, n_out]`, for the structured
      families, whose laws are about matrices.

  Returns:
    The tests made.
  """
  _require(w.dtype == np.float32, f'dtype: {w.dtype} where float32 was asked')
  _require(np.isfinite(w).all(), 'finite: the draws hold NaN or infinity')
  w = w.astype(np.float64)
  tests = [lambda: _check_keys(w), lambda: _check_mean(w, law)]
  if law.family in _DISTRIBUTIONS:
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
  return {'finite': 0} | _run(tests)


def _tests_of_entries(
  w: np.ndarray, law: base.Law
) -> list[Callable[[], Counts]]:
  """Tests of independent entries of one of the three distributions."""
  return [
    lambda: _check_mean(w, law),
    lambda: _check_variance(w, law),
    lambda: _check_distribution(w.ravel(), cdf(law), 'the law'),
    lambda: _check_independence(w, law),
  ]


def _require(holds: Any, message: str) -> None:
  """Like `assert`, but also under `python -O`."""
  if not holds:
    raise AssertionError(message)


def _run(tests: Sequence[Callable[[], Counts]]) -> Counts:
  """Runs all tests and raises one AssertionError with all messages."""
  failures, counts = [], {}
  for test in tests:
    try:
      for name, count in test().items():
        counts[name] = counts.get(name, 0) + count
    except AssertionError as failure:
      failures.append(str(failure).strip())
  _require(not failures, '\n'.join(failures))
  return counts


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
    dtype: the expected dtype.
    law: the expected law.
  """
  name = jnp.dtype(dtype).name
  _require(w.dtype == dtype, f'dtype: {w.dtype} where {name} was asked')
  _require(w.size >= ENTRIES, f'draws: {w.size} where {ENTRIES} are needed')
  if law.family in _DISTRIBUTIONS:
    distinct = np.count_nonzero(np.bincount(w.view(np.uint16).ravel()))
    least = 1000 if dtype == jnp.bfloat16 else 4000
    _require(distinct > least, f'precision: {distinct} values in {name}')
  if law.family not in ('fixed', 'near_identity'):
    _check_mean(w.astype(np.float64), law)


def sample(
  initializer: base.Initializer,
  shape: tuple[int, ...],
  entries: int,
  dtype: Any = jnp.float32,
) -> np.ndarray:
  """`[S, *shape]`, one kernel per key, about `entries` numbers, 2 keys or more.

  Uses a Python loop: compiling a vmapped draw takes longer than many draws.
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

  All use the same raw keys, so the compiler draws their bits only once.
  Optimization is off, since compiling takes longer than running.
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


def _check_fixed(w: np.ndarray, law: base.Law) -> Counts:
  _require((w == w[0]).all(), 'fixed: the draws depend on the key')
  # Squares of float32 numbers, rounded once: relative error 2^-23.
  variance = np.mean(w[0] ** 2)
  _require(
    abs(variance - law.variance) <= 2**-22 * law.variance,
    f'variance: {variance:.7g} where the law has {law.variance:.7g}',
  )
  return {'fixed': 0, 'variance': 0}


def _check_keys(w: np.ndarray) -> Counts:
  different = len({draw.tobytes() for draw in w})
  _require(different == len(w), f'keys: {len(w)} keys, {different} arrays')
  return {'keys': 0}


def _check_mean(w: np.ndarray, law: base.Law) -> Counts:
  # Uncorrelated entries of mean zero, in every family.
  z = np.mean(w) * np.sqrt(w.size / law.variance)
  _require(
    abs(z) < Z, f'mean: {np.mean(w):.3g}, {z:.1f} standard errors from 0'
  )
  return {'mean': 1}


def _check_variance(w: np.ndarray, law: base.Law) -> Counts:
  ratio = np.mean(w**2) / law.variance
  # Draws of one size, as of signs, are rounded to float32: 2^-23 of a square.
  excess = max(_kurtosis(w, law) - 1, 0)
  z = (ratio - 1) / max(np.sqrt(excess / w.size), 2.0**-23)
  _require(
    abs(z) < Z, f'variance: {ratio:.4f} of the law, {z:.1f} standard errors off'
  )
  return {'variance': 1}


def _check_distribution(
  values: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray], what: str
) -> Counts:
  import scipy.stats

  p = scipy.stats.kstest(values, cdf, mode='asymp').pvalue
  _require(
    p > ALPHA, f'distribution: Kolmogorov-Smirnov of {what}, p = {p:.2g}'
  )
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
      _require(
        abs(z) < Z, f'independence: along axis {axis}, {what}, z = {z:.1f}'
      )
  return {'independence': count}


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
    _require(
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
  _require(error < 1e-5, f'orthogonality: off by {error:.2g}')
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
  return _run(
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
  _require(
    p > ALPHA, f'signs: {what} are positive {heads} of {coins.size} times'
  )
  return {'signs': 1}


def _check_sparse(w: np.ndarray, law: base.Law) -> Counts:
  size, n_in, n_out = w.shape
  kept = w != 0
  counts = np.count_nonzero(kept, axis=1)
  count = int(counts[0, 0])
  _require((counts == count).all(), 'sparsity: units differ in their inputs')
  _require(count > 0, 'sparsity: all zero')
  spread = base.Law('normal', law.variance * n_in / count)
  # The nonzeros of every unit, in the order of its inputs.
  values = w.mT[kept.mT].reshape(size, n_out, count)
  variance = spread.variance
  return _run(
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
  _require((w == mirrored).all(), 'mirror: blocks are not each other negated')
  counts = _run(
    [lambda: _check_orthogonal(block, law), lambda: _check_haar(block, law)]
  )
  return {'mirror': 0} | counts


def _check_near_identity(w: np.ndarray, law: base.Law) -> Counts:
  _, n_in, n_out = w.shape
  identity = np.tile(np.eye(n_in), -(-n_out // n_in))[:, :n_out]
  noise = base.Law('normal', law.variance - 1 / n_in)
  return _run(_tests_of_entries(w - identity, noise))


def _check_kept(kept: np.ndarray, count: int) -> Counts:
  import scipy.stats

  size, n_in, n_out = kept.shape
  # The number of units that keep an input is binomial: units are independent.
  total = np.count_nonzero(kept, axis=(0, 2))
  units = scipy.stats.binom(size * n_out, count / n_in)
  p = np.minimum(units.cdf(total), units.sf(total - 1))
  _require((2 * p > ALPHA).all(), 'sparsity: some inputs are kept too often')
  tests = n_in
  for axis in (0, 2):
    for what, x, y in _pairs(kept, axis):
      tests += 1
      shared = np.count_nonzero(x & y, axis=1)
      p = _p_shared(shared.sum(), shared.size, n_in, count)
      _require(
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
