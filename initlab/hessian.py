"""Hessian-vector products of a loss, and extreme eigenvalues.

    H v = d/dt grad f(p + t v) at t = 0,

forward over reverse mode (`jax.jvp` of `jax.grad`), at the cost of a few
gradients and without forming the matrix. At weights of zero the smallest
eigenvalue is known in closed form.

References:
  Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6,
  1994.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np

from initlab import base, lanczos


def product(loss: Callable[[Any], base.Array], params: Any, vector: Any) -> Any:
  """H v, a pytree like the parameters.

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
  steps: int = lanczos.STEPS,
) -> base.Array:
  """Smallest and largest eigenvalue, as Ritz values, see `lanczos`.

  They lie between the extreme eigenvalues of H, up to rounding, so a negative
  one proves that H has a negative eigenvalue.

  Args:
    loss: `params -> []`, twice differentiable.
    params: any pytree of floating arrays of one type.
    key: of v; it is consumed.
    steps: products with H, with full reorthogonalization.

  Returns:
    `[2]`.
  """
  flat, restore = flatten_util.ravel_pytree(params)
  of_flat = lambda x: loss(restore(x))
  values = lanczos.ritz(
    lambda v: product(of_flat, flat, v),
    lanczos.start(key, flat.size, flat.dtype),
    steps=steps,
  )
  return values[jnp.array([0, -1])]


def lowest_at_zeros(batch: base.Batch, classes: int, hidden: int) -> float:
  """The smallest eigenvalue of the mean cross-entropy at weights of zero.

  For a network with f(0) = 0 and f'(0) = 1, such as tanh, whose last bias makes
  the outputs p equal to the class frequencies. With one hidden layer the
  Hessian couples w_1 only to w_2, an entry of w_1 (input i, unit j) to one of
  w_2 (unit j, class k) by

      C_ik = mean over the examples of x_i (p_k - y_k).

  so its eigenvalues are plus and minus the singular values of C, once per unit,
  zeros, and those of the last bias, which are not negative. With more hidden
  layers only the latter and zeros remain.

  Args:
    batch: `[B, n_0]` inputs and `[B]` labels.
    classes: K, the number of logits.
    hidden: the number of hidden layers, at least 1.
  """
  if hidden > 1:
    return 0.0
  x, y = np.asarray(batch.x, float), np.eye(classes)[np.asarray(batch.y)]
  coupling = x.T @ (y.mean(0) - y) / len(x)
  return -float(np.linalg.norm(coupling, 2))
