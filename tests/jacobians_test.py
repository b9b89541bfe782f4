"""Spectra from products, against dense matrices in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import hessian, jacobians, keys, lanczos

# Ritz values of all steps, and a dense decomposition, each err by a small
# multiple of the size (at most 40) times the rounding, times the largest.
_ROUNDING = 40 * 10 * np.finfo(float).eps


def _model(inputs=3, hidden=5, outputs=2):
  rng = np.random.default_rng(0)
  params = {
    'w': jnp.asarray(rng.standard_normal((inputs, hidden))),
    'v': jnp.asarray(rng.standard_normal((hidden, outputs))),
  }
  x = jnp.asarray(rng.standard_normal((4, inputs)))
  return params, x


def _apply(params, x):
  return jnp.tanh(x @ params['w']) @ params['v']


@pytest.mark.parametrize('outputs', [2, 5])
def test_all_steps_find_all_singular_values_of_the_input_jacobian(outputs):
  """Of fewer outputs than inputs, and of more."""
  with jax.enable_x64(True):
    params, x = _model(outputs=outputs)
    function = lambda x: _apply(params, x)
    dense = np.asarray(jax.jacobian(function)(x[0]))
    known = np.linalg.svd(dense, compute_uv=False)
    found = jacobians.singular_values(function, x[0], keys.root(1))
  # s^2 errs by the rounding times the largest square, so s by that over 2 s.
  error = _ROUNDING * known[0] ** 2 / (2 * known[-1])
  np.testing.assert_allclose(found, known, rtol=0, atol=error)


def test_the_kernel_is_the_sum_over_all_parameters():
  """Its eigenvalues and its condition, of 4 examples of 2 outputs."""
  with jax.enable_x64(True):
    params, x = _model()
    function = lambda params: _apply(params, x)
    each = jax.jacobian(function)(params)
    kernel = sum(
      np.einsum('akij,blij->akbl', leaf, leaf) for leaf in each.values()
    ).reshape(8, 8)
    known = np.linalg.eigvalsh(kernel)[::-1]
    found = jacobians.ntk_eigenvalues(function, params, keys.root(1))
    np.testing.assert_allclose(found, known, rtol=0, atol=_ROUNDING * known[0])
    # The smallest errs by that, relative to itself.
    ratio = known[0] / known[-1]
    np.testing.assert_allclose(
      jacobians.condition(found), ratio, rtol=2 * _ROUNDING * ratio
    )


def test_few_steps_are_within_the_spectrum_and_near_its_top():
  with jax.enable_x64(True):
    params, x = _model()
    function = lambda params: _apply(params, x)
    known = jacobians.ntk_eigenvalues(function, params, keys.root(1))
    found = jacobians.ntk_eigenvalues(function, params, keys.root(1), steps=4)
    assert found.shape == (4,)
    assert 0.95 * known[0] < found[0] <= known[0] * (1 + _ROUNDING)
    assert found[-1] >= known[-1] * (1 - _ROUNDING)


def test_equal_singular_values_are_all_found():
  """Of an orthogonal matrix, whose span is exhausted after one step."""
  with jax.enable_x64(True):
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))
    function = lambda x: 2 * jnp.asarray(turn) @ x
    found = jacobians.singular_values(function, jnp.ones(6), keys.root(1))
    np.testing.assert_allclose(found, np.full(6, 2.0), atol=_ROUNDING)
    assert jacobians.condition(jnp.array([2.0, 0.0])) == np.inf


def test_a_span_that_is_exhausted_exactly_goes_on():
  """From a unit vector, nothing is left of the first product, no rounding."""
  with jax.enable_x64(True):
    found = lanczos.ritz(lambda v: 2 * v, jnp.eye(6)[0])
    np.testing.assert_allclose(found, np.full(6, 2.0), atol=_ROUNDING)


def test_the_values_of_one_matrix_are_those_of_the_hessian():
  """The one algorithm serves both."""
  with jax.enable_x64(True):
    values = jnp.linspace(-1, 3, 12)
    start = lanczos.start(keys.root(1), 12, jnp.dtype(float))
    found = lanczos.ritz(lambda v: values * v, start)
    np.testing.assert_allclose(found, values, atol=3 * _ROUNDING)
    loss = lambda x: jnp.sum(values * x**2) / 2
    ends = hessian.extremes(loss, jnp.ones(12), keys.root(1))
    np.testing.assert_allclose(ends, [-1, 3], atol=3 * _ROUNDING)
