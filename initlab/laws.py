"""Estimates the laws of initializers that declare none."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, kernels, keys, testing

# Target relative standard error of a variance, which takes 80,000 draws for
# normal weights; and the most draws.
_ERROR = 0.005
_FEWEST = 2**17
_MOST = 2**22

# The family is accepted at a p above this. The choice between the independent
# families does not change theory.
_LEAST_P = 1e-4

_Z95 = 1.96


@functools.lru_cache(maxsize=1024)
def estimate(initializer: base.Initializer, n_in: int, n_out: int) -> base.Law:
  """Estimates the law of an initializer for a `[n_in, n_out]` kernel.

  Draws kernels from fixed keys until the variance has a relative standard error
  of 0.5%, sqrt((kurtosis - 1) / draws), but at most 4 million entries, which
  heavy tails may exceed. The family is the best of 'uniform', 'normal' and
  'truncated_normal' by the Kolmogorov-Smirnov test; 'independent' if it is none
  of them; 'fixed' if no entry depends on the key; and 'unknown' if entries do
  not have mean zero or are not independent, by the tests of
  `testing.check_draws`.

  Args:
    initializer: `(key, shape, dtype) -> array`, traceable by JAX.
    n_in, n_out: the shape.

  Returns:
    The law with its evidence; the same for equal arguments.

  Examples:
    >>> law = estimate(jax.nn.initializers.normal(0.1), 64, 32)
    >>> law.family, law.evidence.draws, law.evidence.low < 0.01
    ('normal', 131072, True)
  """
  shape = n_in, n_out
  w = _sample(initializer, shape, _FEWEST)
  if not np.isfinite(w).all():
    evidence = base.Evidence(w.size, math.nan, math.nan, 'it is not finite')
    return base.Law('unknown', math.nan, evidence)
  variance, error = _variance(w)
  if error > _ERROR * variance:
    wanted = w.size * (error / (_ERROR * variance)) ** 2
    w = _sample(initializer, shape, int(min(wanted, _MOST)))
    variance, error = _variance(w)
  if (w == w[0]).all():
    evidence = base.Evidence(w.size, variance, variance)
    return base.Law('fixed', variance, evidence)
  half = _Z95 * error
  low, high = max(0.0, variance - half), variance + half
  evidence = base.Evidence(w.size, low, high)
  try:
    testing.check_draws(w, base.Law('independent', variance))
  except AssertionError as failure:
    failed = str(failure).partition('\n')[0]
    return base.Law('unknown', variance, evidence._replace(failed=failed))
  return base.Law(family(w.ravel()[:_FEWEST], variance), variance, evidence)


def _sample(
  initializer: base.Initializer, shape: tuple[int, int], draws: int
) -> np.ndarray:
  """`[S, n, n_out]`, about `draws` entries from at least two keys.

  If two kernels exceed `_MOST` entries, their first n rows.
  """
  count = max(2, draws // math.prod(shape))
  key = keys.stream(keys.root(0), 'law')
  many = jax.vmap(lambda seed: keys.at(key, seed))(
    jnp.arange(count, dtype=jnp.uint32)
  )
  rows = max(1, min(shape[0], _MOST // (count * shape[1])))
  draw = lambda key: initializer(key, shape, jnp.float32)[:rows]
  with jax.ensure_compile_time_eval():
    return np.asarray(jax.jit(jax.vmap(draw))(many))


def _variance(w: np.ndarray) -> tuple[float, float]:
  """The mean square of independent entries, and its standard error."""
  square = np.square(w, dtype=float)
  return float(square.mean()), float(square.std() / math.sqrt(w.size))


def family(w: np.ndarray, variance: float) -> str:
  """The family of independent entries, by the Kolmogorov-Smirnov test.

  Args:
    w: `[N]` entries of mean zero.
    variance: of them.

  Returns:
    The best of 'uniform', 'normal' and 'truncated_normal', or 'independent' if
    its p is below 1e-4.
  """
  from scipy import stats

  p = {
    name: stats.kstest(
      w, testing.cdf(base.Law(name, variance)), mode='asymp'
    ).pvalue
    for name in kernels.DISTRIBUTIONS
  }
  best = max(p, key=lambda name: p[name])
  return best if p[best] > _LEAST_P else 'independent'
