"""The Lanczos algorithm: eigenvalues of a matrix from its products.

After K products with a symmetric matrix A from a start v, A is tridiagonal in
an orthonormal basis of the span of v, A v, ..., A^(K-1) v. The eigenvalues of
that K x K matrix, the Ritz values, lie between the extreme eigenvalues of A, up
to rounding. Those at the ends converge first, the faster the better they are
separated; with K the size of A they are its eigenvalues.

References:
  Lanczos, J. Res. Natl. Bur. Stand. 45, 1950. Golub & Van Loan, Matrix
  Computations, 4th ed., section 10.1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from initlab import base

STEPS = 30


def start(key: base.Key, size: int, dtype: jnp.dtype) -> base.Array:
  """A random vector, the same draw in every type.

  Args:
    key: it is consumed.
    size: of the matrix.
    dtype: of the vector.
  """
  return jax.random.normal(key, (size,), jnp.float32).astype(dtype)


def ritz(
  product: Callable[[base.Array], base.Array],
  start: base.Array,
  *,
  steps: int = STEPS,
) -> base.Array:
  """The Ritz values of a symmetric matrix, ascending.

  With full reorthogonalization, twice. Where the span is exhausted, as of a
  matrix with equal eigenvalues, it goes on from another vector, so each value
  is found as often as it occurs among the steps.

  Args:
    product: v -> A v, `[N]` each.
    start: `[N]`, not zero.
    steps: K, cut to N.

  Returns:
    `[min(K, N)]`.
  """
  size, dtype = start.size, start.dtype
  steps = min(steps, size)
  rounding = size * jnp.finfo(dtype).eps

  def apart(vectors: base.Array, v: base.Array) -> base.Array:
    for _ in range(2):
      v = v - (vectors @ v) @ vectors
    return v

  def step(carry: tuple, index: base.Array) -> tuple:
    vectors, v, scale = carry
    vectors = vectors.at[index].set(v)
    image = product(v)
    scale = jnp.maximum(scale, jnp.linalg.norm(image))
    alpha = image @ v
    image = apart(vectors, image)
    beta = jnp.linalg.norm(image)
    exhausted = beta <= rounding * scale
    other = apart(vectors, jnp.roll(start, index + 1))
    v = jnp.where(exhausted, other, image)
    v = v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(dtype).tiny)
    return (vectors, v, scale), (alpha, jnp.where(exhausted, 0.0, beta))

  first = jnp.zeros((steps, size), dtype), start / jnp.linalg.norm(start)
  carry = *first, jnp.zeros((), dtype)
  _, (alpha, beta) = jax.lax.scan(step, carry, jnp.arange(steps))
  off = jnp.diag(beta[:-1], 1)
  return jnp.linalg.eigvalsh(jnp.diag(alpha) + off + off.T)
