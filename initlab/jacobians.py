"""Spectra of the Jacobian of any function, from its products.

Of a model f(params, x), with respect to its input this is the end-to-end
Jacobian, J = df/dx, whose singular values say how lengths change from the input
to the output. With respect to its parameters, J J^T is the empirical neural
tangent kernel of the examples x,

    K[(x, k), (x', k')] = sum over parameters p of df_k(x)/dp df_k'(x')/dp,

by which gradient flow of small steps changes the outputs: those along an
eigenvector at the rate of its eigenvalue, and the condition number says by what
factor the fastest is ahead of the slowest. The largest eigenvalue of the
Hessian is in `hessian`.

No matrix is formed: a product with J is one forward-mode pass, one with J^T one
reverse-mode pass.

References:
  Saxe, McClelland & Ganguli, 2014, section 3, for the end-to-end Jacobian.
  Jacot, Gabriel & Hongler, Neural tangent kernel: convergence and
  generalization in neural networks, 2018, section 4.
  https://arxiv.org/abs/1806.07572
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import flatten_util
import jax.numpy as jnp

from initlab import base, lanczos


def gram(
  function: Callable[[Any], Any], at: Any
) -> tuple[Callable[[base.Array], base.Array], int]:
  """Products with the smaller of J J^T and J^T J.

  Args:
    function: a pytree of arrays -> one, differentiable in both modes.
    at: the point, any pytree of floating arrays of one type.

  Returns:
    `v -> G v` of flat vectors `[n]`, and n, the fewer of the outputs and the
    inputs.
  """
  flat, restore = flatten_util.ravel_pytree(at)
  of_flat = lambda x: flatten_util.ravel_pytree(function(restore(x)))[0]
  outputs, forward = jax.linearize(of_flat, flat)
  transposed = jax.linear_transpose(forward, flat)
  back = lambda v: transposed(v)[0]
  if outputs.size <= flat.size:
    return lambda v: forward(back(v)), outputs.size
  return lambda v: back(forward(v)), flat.size


def ntk_eigenvalues(
  function: Callable[[Any], Any],
  params: Any,
  key: base.Key,
  *,
  steps: int = lanczos.STEPS,
) -> base.Array:
  """Eigenvalues of the empirical neural tangent kernel, descending.

  Ritz values, see `lanczos`: the first ones are near the largest eigenvalues;
  the last is near the smallest only if there are as many steps as outputs. Of
  more outputs than parameters, zeros are left out.

  Args:
    function: params -> outputs of all examples, such as `[B, K]`.
    params: any pytree of floating arrays of one type.
    key: of the start; it is consumed.
    steps: products with the kernel, cut to its size.

  Returns:
    `[min(steps, outputs, parameters)]`. Rounding is relative to the largest.
  """
  return _gram_values(function, params, key, steps)


def singular_values(
  function: Callable[[Any], Any],
  at: Any,
  key: base.Key,
  *,
  steps: int = lanczos.STEPS,
) -> base.Array:
  """Singular values of the Jacobian of a function, descending.

  Roots of Ritz values of the Gram matrix, so those below the root of the
  rounding error times the largest are not resolved; with as many steps as the
  shorter side, all of them are found.

  Args:
    function: a pytree of arrays -> one, such as an example -> its logits.
    at: the point, any pytree of floating arrays of one type.
    key: of the start; it is consumed.
    steps: products with the Gram matrix, cut to its size.

  Returns:
    `[min(steps, inputs, outputs)]`.
  """
  squares = _gram_values(function, at, key, steps)
  return jnp.sqrt(jnp.maximum(squares, 0.0))


def _gram_values(
  function: Callable[[Any], Any], at: Any, key: base.Key, steps: int
) -> base.Array:
  """Ritz values of the Gram matrix, descending."""
  product, size = gram(function, at)
  dtype = flatten_util.ravel_pytree(at)[0].dtype
  start = lanczos.start(key, size, dtype)
  return lanczos.ritz(product, start, steps=steps)[::-1]


def condition(values: base.Array) -> base.Array:
  """The first over the last of descending values `[..., n]`, `[...]`.

  Of Ritz values it is a lower bound of the condition number, and the number
  itself with as many steps as the matrix has rows. Infinite if the last is not
  positive.
  """
  first, last = values[..., 0], values[..., -1]
  return jnp.where(last > 0, first / jnp.where(last > 0, last, 1.0), jnp.inf)
