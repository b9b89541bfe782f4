"""The Hessian by its products: of a matrix that is known."""

import itertools

import chex
import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, hessian, keys, losses, mlp


def _quadratic(size, dtype):
  """x A x / 2 of a symmetric A of known eigenvalues, split in two arrays."""
  rng = np.random.default_rng(0)
  turn, _ = np.linalg.qr(rng.standard_normal((size, size)))
  values = np.linspace(-1, 3, size)
  matrix = jnp.asarray(turn @ np.diag(values) @ turn.T, dtype)
  params = {'a': jnp.ones((size - 2,), dtype), 'b': jnp.ones((2, 1), dtype)}

  def loss(params):
    x = jnp.concatenate([params['a'], params['b'].ravel()])
    return x @ matrix @ x / 2

  return loss, params, matrix


def test_a_product_is_a_column_of_the_matrix():
  with jax.enable_x64(True):
    loss, params, matrix = _quadratic(5, jnp.float64)
    first = jax.tree.map(jnp.zeros_like, params)
    first['a'] = first['a'].at[0].set(1)
    column = hessian.product(loss, params, first)
    chex.assert_trees_all_equal_shapes(column, params)
    flat = jnp.concatenate([column['a'], column['b'].ravel()])
    # A sum of five products of numbers below 3.
    np.testing.assert_allclose(flat, matrix[0], atol=1e-14)


@pytest.mark.parametrize('size', [3, 12])
def test_the_span_of_all_products_has_the_eigenvalues_themselves(size):
  with jax.enable_x64(True):
    loss, params, _ = _quadratic(size, jnp.float64)
    ends = hessian.extremes(loss, params, keys.root(1))
    # Rounding of 12 products, each of norm 3 at most.
    np.testing.assert_allclose(ends, [-1, 3], atol=1e-12)


def test_a_few_products_are_within_the_spectrum_and_near_its_ends():
  with jax.enable_x64(True):
    loss, params, _ = _quadratic(60, jnp.float64)
    low, high = hessian.extremes(loss, params, keys.root(1), steps=20)
    assert -1 <= low < -0.95
    assert 2.95 < high <= 3


def test_a_span_that_is_used_up_early_does_no_harm():
  """Two distinct eigenvalues: two products tell all, the others nothing."""
  with jax.enable_x64(True):
    signs = jnp.where(jnp.arange(40) % 4 == 0, -2.0, 1.0)
    loss = lambda x: jnp.sum(signs * x**2) / 2
    ends = hessian.extremes(loss, jnp.ones(40), keys.root(1), steps=10)
    np.testing.assert_allclose(ends, [-2, 1], atol=1e-12)


def test_a_flat_loss_has_no_curvature():
  with jax.enable_x64(True):
    ends = hessian.extremes(jnp.sum, jnp.ones(4), keys.root(1))
    np.testing.assert_array_equal(ends, [0, 0])


@pytest.mark.parametrize('hidden', [1, 2])
def test_the_smallest_eigenvalue_at_zeros_is_that_of_the_whole_matrix(hidden):
  """Of 3 inputs, 2 units a layer and 3 classes of unequal frequencies."""
  rng = np.random.default_rng(0)
  y = np.array([0, 0, 0, 1, 1, 2])
  batch = base.Batch(rng.standard_normal((6, 3)), y)
  widths = (3, *(2,) * hidden, 3)
  params = [
    base.Layer(np.zeros(shape), np.zeros(shape[1]))
    for shape in itertools.pairwise(widths)
  ]
  params[-1] = params[-1]._replace(b=np.log(np.bincount(y) / 6))
  objective = mlp.objective(jnp.tanh, losses.cross_entropy)
  with jax.enable_x64(True):
    flat, restore = flatten_util.ravel_pytree(tuple(params))
    cost = lambda x: objective(restore(x), batch)
    matrix = jax.jit(jax.hessian(cost))(flat)
    assert matrix.dtype == jnp.float64
    # Entries below 1, of sums of 6 terms: rounding of about 1e-15.
    least = np.linalg.eigvalsh(matrix)[0]
  found = hessian.lowest_at_zeros(batch, 3, hidden)
  np.testing.assert_allclose(found, least, atol=1e-14)
  assert (found < -0.1) == (hidden == 1)
