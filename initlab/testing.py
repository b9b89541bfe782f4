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

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, initializers, kernels, keys
from initlab.draw_checks import (
  ALPHA,
  Counts,
  Matrices,
  Z as Z,
  cdf as cdf,
  check_mean,
  require,
  run,
  tests_of,
)

ENTRIES = 2**19

# A declared law: a Law, the name of a scheme of the lab with its knobs, or
# `(n_in, n_out) -> Law`.
Declared = base.Law | str | Callable[[int, int], base.Law]

_DISTRIBUTIONS = tuple(kernels.DISTRIBUTIONS)


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
  require(
    first.shape[1:] == shape,
    f'shape: {first.shape[1:]} where {shape} was asked for',
  )
  w = sample(initializer, shape, draws)
  # Such faults show in the first draws.
  require(
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
  require(w.dtype == np.float32, f'dtype: {w.dtype} where float32 was asked')
  require(np.isfinite(w).all(), 'finite: the draws hold NaN or infinity')
  w = w.astype(np.float64)
  return {'finite': 0} | run(tests_of(w, law, matrices))


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
  require(w.dtype == dtype, f'dtype: {w.dtype} where {name} was asked')
  require(w.size >= ENTRIES, f'draws: {w.size} where {ENTRIES} are needed')
  if law.family in _DISTRIBUTIONS:
    distinct = np.count_nonzero(np.bincount(w.view(np.uint16).ravel()))
    least = 1000 if dtype == jnp.bfloat16 else 4000
    require(distinct > least, f'precision: {distinct} values in {name}')
  if law.family not in ('fixed', 'near_identity'):
    check_mean(w.astype(np.float64), law)


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
