"""Learning rates by curvature: the diagonal is right, and scales the steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, keys, optimizers

_H = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, 0.5]])


def _cost(params):
  x = jnp.concatenate([params.w.ravel(), params.b])
  return x @ jnp.asarray(_H, x.dtype) @ x / 2


_PARAMS = base.Layer(jnp.array([[1.0, -2.0]]), jnp.array([3.0]))


def test_products_have_the_diagonal_as_their_mean():
  """v_k (H v)_k is h_kk and the other h_kj with random signs.

  The variance is the sum of their squares, at most 2 here, so the mean of 4096
  is within 4 sqrt(2 / 4096) = 0.09 of the diagonal.
  """
  draws = jax.jit(
    jax.vmap(
      lambda i: optimizers.product(_cost, _PARAMS, keys.at(keys.root(0), i))
    )
  )(jnp.arange(4096, dtype=jnp.uint32))
  found = np.r_[np.mean(draws.w, 0).ravel(), np.mean(draws.b, 0)]
  np.testing.assert_allclose(found, np.diag(_H), atol=0.09)


def test_steps_are_divided_by_the_curvature():
  """Of a diagonal Hessian every product is exact, whatever the signs."""
  diagonal = np.array([4.0, -2.0, 0.0], np.float32)

  def cost(params):
    x = jnp.concatenate([params.w.ravel(), params.b])
    return jnp.sum(jnp.asarray(diagonal) * x**2) / 2

  optimizer = optimizers.scale_by_diagonal()
  state, gradient = (
    optimizer.init(_PARAMS),
    jax.tree.map(jnp.ones_like, _PARAMS),
  )
  step = jax.jit(
    lambda state: optimizer.update(gradient, state, _PARAMS, value_fn=cost)
  )
  for _ in range(12):  # past a second product
    scaled, state = step(state)
    found = np.r_[np.ravel(scaled.w), scaled.b]
    expected = 1 / (np.abs(diagonal) + optimizers.DAMPING)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
  assert int(state.count) == 12


def test_it_wants_the_cost():
  optimizer = optimizers.scale_by_diagonal()
  with pytest.raises(KeyError, match='value_fn'):
    optimizer.update(_PARAMS, optimizer.init(_PARAMS), _PARAMS)
