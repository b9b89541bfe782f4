"""Checks a gradient against finite differences of the loss.

    with jax.enable_x64(True):
      error = gradient_check.relative_error(loss, params)

The difference on both sides of a parameter, over a step epsilon,

    d_i = (f(p + epsilon e_i) - f(p - epsilon e_i)) / (2 epsilon),

has a truncation error of epsilon^2 f'''/6 and a rounding error of about
u |f| / epsilon, u = 1.1e-16 in float64. At epsilon = 1e-5, near the cube root
of u, the two are 2e-11 f''' and 1e-11 |f|. A right gradient then agrees to
about ten digits, a wrong one to none; at epsilon = 1e-4, as in the lecture, a
right one agrees to eight or nine. In float32 three digits are the best, so it
is refused.

If a step crosses a kink, such as that of the ReLU at zero, the difference is a
mean of two slopes, and the check says nothing.

The cost is two evaluations of the loss per parameter; for a large network,
check a sample of the coordinates.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import flatten_util
import jax.numpy as jnp

from initlab import base

EPSILON = 1e-5


def relative_error(
  loss: Callable[[Any], base.Array],
  params: Any,
  *,
  epsilon: float | base.Array = EPSILON,
  coordinates: base.ArrayLike | None = None,
) -> base.Array:
  """The distance of the gradient from two-sided differences.

      |a - d| / |a + d|, a the gradient, d the differences, in Euclidean norm:

  half the relative error if that is small, 0 if both are zero, 1 if one is.

  Args:
    loss: `params -> [...]`, one loss or several, differentiable by
      `jax.jacrev`.
    params: any pytree of float64 arrays.
    epsilon: the step to either side.
    coordinates: `[N]` integers, which parameters to check, in the order of
      `jax.tree.leaves`, each raveled; all of them if None. See `sample`.

  Returns:
    `[...]`, one per loss.

  Raises:
    UserError: the parameters are not float64.

  References:
    Andrew Ng, Machine Learning, Gradient checking; the relative form is that of
    its exercise.
  """
  chosen = _chosen(params, coordinates)
  found = differences(loss, params, epsilon=epsilon, coordinates=chosen)
  leaves = jax.tree.leaves(jax.jacrev(loss)(params))
  shape = (*found.shape[1:], -1)
  gradient = jnp.concatenate([leaf.reshape(shape) for leaf in leaves], -1)
  gradient = jnp.moveaxis(gradient[..., chosen], -1, 0)
  apart = jnp.linalg.norm(gradient - found, axis=0)
  together = jnp.linalg.norm(gradient + found, axis=0)
  return jnp.where(apart == 0, 0.0, apart / together)


def differences(
  function: Callable[[Any], base.Array],
  params: Any,
  *,
  epsilon: float | base.Array = EPSILON,
  coordinates: base.ArrayLike | None = None,
) -> base.Array:
  """Two-sided differences of a function of many parameters.

  Args:
    function: `params -> [...]`.
    params: as for `relative_error`.
    epsilon: the step to either side.
    coordinates: as for `relative_error`.

  Returns:
    `[N, ...]`, one per coordinate.

  Raises:
    UserError: the parameters are not float64.
  """
  flat, restore = flatten_util.ravel_pytree(params)
  if flat.dtype != jnp.float64:
    raise base.UserError(
      f'a gradient is checked in float64, not in {flat.dtype}: cast the '
      'parameters, within jax.enable_x64(True)'
    )

  steps = epsilon * jnp.array([1.0, -1.0], flat.dtype)

  def difference(index: base.Array) -> base.Array:
    moved = lambda step: function(restore(flat.at[index].add(step)))
    above, below = jax.vmap(moved)(steps)
    return (above - below) / (2 * epsilon)

  return jax.lax.map(difference, _chosen(params, coordinates))


def sample(key: base.Key, params: Any, count: int) -> base.Array:
  """Draws coordinates to check.

  Args:
    key: it is consumed.
    params: as for `relative_error`.
    count: how many, without repetition; at most all of them are returned.

  Returns:
    `[N]` integers.
  """
  size = sum(leaf.size for leaf in jax.tree.leaves(params))
  return jax.random.permutation(key, size)[:count]


def _chosen(params: Any, coordinates: base.ArrayLike | None) -> base.Array:
  if coordinates is not None:
    return jnp.asarray(coordinates)
  return jnp.arange(sum(leaf.size for leaf in jax.tree.leaves(params)))
