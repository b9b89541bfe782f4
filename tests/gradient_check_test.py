"""Gradients against differences: of any loss and any pytree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, gradient_check, keys

_TREE = {'a': np.array([[0.3, -0.7]]), 'b': (np.array(1.2),)}


def _loss(tree):
  return jnp.sum(jnp.sin(tree['a']) ** 2) * jnp.exp(-tree['b'][0])


@jax.custom_jvp
def _wrong_sine(x):
  return jnp.sin(x)


@_wrong_sine.defjvp
def _(primals, tangents):
  # Right by 0.1%, which is an error of 5e-4 in the relative form.
  return jnp.sin(primals[0]), 1.001 * jnp.cos(primals[0]) * tangents[0]


def _doubles(tree=_TREE):
  return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), tree)


def test_a_right_gradient_of_any_pytree_passes():
  with jax.enable_x64(True):
    assert gradient_check.relative_error(_loss, _doubles()) < 1e-9


def test_an_error_of_a_thousandth_is_a_two_thousandth():
  """|1.001 d - d| / |1.001 d + d|, to the error of the differences."""
  with jax.enable_x64(True):
    loss = lambda x: jnp.sum(_wrong_sine(x))
    error = gradient_check.relative_error(loss, jnp.array([0.1, 0.4, 2.0]))
    np.testing.assert_allclose(error, 0.001 / 2.001, atol=1e-9)


def test_a_gradient_of_zero_has_no_error_and_a_lost_one_has_error_one():
  with jax.enable_x64(True):
    x = jnp.array([0.5, 0.25])
    flat = gradient_check.relative_error(lambda x: jnp.sum(0 * x), x)
    lost = lambda x: jnp.sum(jax.lax.stop_gradient(x))
    assert flat == 0
    assert gradient_check.relative_error(lost, x) == 1


def test_several_losses_have_an_error_each():
  with jax.enable_x64(True):
    losses = lambda x: jnp.stack([jnp.sum(jnp.sin(x)), jnp.sum(_wrong_sine(x))])
    errors = gradient_check.relative_error(losses, jnp.array([0.1, 0.4]))
    assert errors.shape == (2,)
    assert errors[0] < 1e-9 < 1e-4 < errors[1]


def test_differences_of_a_polynomial_are_exact_up_to_its_third_derivative():
  """Of x^3 it is 3 x^2 + epsilon^2, whatever the epsilon."""
  with jax.enable_x64(True):
    x = jnp.array([0.5, -2.0])
    found = gradient_check.differences(lambda x: jnp.sum(x**3), x, epsilon=0.25)
    np.testing.assert_allclose(found, 3 * x**2 + 0.25**2, rtol=1e-14)


def test_some_coordinates_are_the_same_as_of_all():
  with jax.enable_x64(True):
    tree = _doubles()
    every = gradient_check.differences(_loss, tree)
    some = gradient_check.differences(
      _loss, tree, coordinates=jnp.array([2, 0])
    )
    np.testing.assert_array_equal(some, every[jnp.array([2, 0])])
    error = gradient_check.relative_error(
      _loss, tree, coordinates=jnp.array([1])
    )
    assert error < 1e-9


def test_a_sample_is_without_repetition_and_within_the_tree():
  drawn = gradient_check.sample(keys.root(0), _TREE, 2)
  assert drawn.shape == (2,)
  assert len(set(drawn.tolist())) == 2
  every = gradient_check.sample(keys.root(0), _TREE, 9)
  assert sorted(every.tolist()) == [0, 1, 2]


def test_float32_is_refused():
  with pytest.raises(base.UserError, match='float64, not in float32'):
    gradient_check.relative_error(jnp.sum, jnp.ones(2, jnp.float32))


def test_it_may_be_compiled_and_mapped():
  with jax.enable_x64(True):
    x = jnp.linspace(0.1, 1, 6).reshape(3, 2)
    loss = lambda x: jnp.sum(jnp.sin(x))
    check = lambda x: gradient_check.relative_error(loss, x)
    mapped = jax.jit(jax.vmap(check))(x)
    assert mapped.shape == (3,)
    assert mapped.max() < 1e-9
