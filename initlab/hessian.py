"""The Hessian of a loss, by its products with vectors.

    H v = d/dt grad f(p + t v) at t = 0,

forward through backward differentiation (`jax.jvp` of `jax.grad`), at the cost
of a few gradients; the matrix itself is never there.

References:
  Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6,
  1994. Lanczos, J. Res. Natl. Bur. Stand. 45, 1950.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import flatten_util
import jax.numpy as jnp

from initlab import base

STEPS = 30


def product(loss: Callable[[Any], base.Array], params: Any, vector: Any) -> Any:
  """H v, like the parameters.

  Args:
    loss: `params -> []`, twice differentiable.
    params: any pytree of floating arrays.
    vector: v, like the parameters.
  """
  return jax.jvp(jax.grad(loss), (params,), (vector,))[1]


def extremes(
  loss: Callable[[Any], base.Array],
  params: Any,
  key: base.Key,
  *,
  steps: int = STEPS,
) -> base.Array:
  """Smallest and largest eigenvalue, from within.

  The extreme eigenvalues of H on the span of v, H v, H^2 v, ..., v random: no
  smaller one is below the smallest of H, up to rounding, so one that is
  negative proves that H has one. They approach those of H fastest where these
  lie apart from the rest.

  Args:
    loss: `params -> []`, twice differentiable.
    params: any pytree of floating arrays of one type.
    key: of v; it is consumed.
    steps: products with H, each vector made orthogonal to all before it.

  Returns:
    `[2]`.
  """
  flat, restore = flatten_util.ravel_pytree(params)
  of_flat = lambda x: loss(restore(x))
  steps = min(steps, flat.size)
  draw = jax.random.normal(key, flat.shape, jnp.float32).astype(flat.dtype)

  def step(carry: tuple, index: base.Array) -> tuple:
    vectors, v = carry
    vectors = vectors.at[index].set(v)
    image = product(of_flat, flat, v)
    alpha = image @ v
    for _ in range(2):
      image = image - (vectors @ image) @ vectors
    beta = jnp.linalg.norm(image)
    # Where the span is used up, beta is rounding, and cuts off what follows.
    v = image / jnp.maximum(beta, jnp.finfo(flat.dtype).tiny)
    return (vectors, v), (alpha, beta)

  start = (
    jnp.zeros((steps, flat.size), flat.dtype),
    draw / jnp.linalg.norm(draw),
  )
  _, (alpha, beta) = jax.lax.scan(step, start, jnp.arange(steps))
  off = jnp.diag(beta[:-1], 1)
  eigenvalues = jnp.linalg.eigvalsh(jnp.diag(alpha) + off + off.T)
  return eigenvalues[jnp.array([0, -1])]
