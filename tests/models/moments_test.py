"""Moments in one pass: of any size, of many numbers, of constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.models import moments

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize('shape', [(7, 5), (1, 1), ()])
@pytest.mark.parametrize('scale', [0.0, 1e-35, 1e-20, 1.0, 1e20, 1e37])
def test_a_root_mean_square_is_exact_where_squares_are_not(scale, shape):
  x = jnp.float32(scale * (1 + _RNG.standard_normal(shape)))
  exact = np.sqrt(np.mean(np.asarray(x, float) ** 2))
  # 35 terms: some roundings of 2^-24 each.
  np.testing.assert_allclose(moments.of(x).rms, exact, rtol=1e-6)
  np.testing.assert_allclose(moments.size_of(x).rms, exact, rtol=1e-6)
  (size, other, product), _ = moments.together(
    [(x, x), (-x / 2, -x / 2), (x, -x / 2)]
  )
  cosine = moments.cosine(product, size, other)
  np.testing.assert_allclose(cosine, -1 if scale else 0, 1e-6)


def test_nothing_is_correlated_with_zero():
  zero, one = moments.size_of(jnp.zeros(3)), moments.size_of(jnp.ones(3))
  assert moments.cosine(zero, one, zero) == 0


@pytest.mark.parametrize('shape', [(300_001,), (50_000, 3), (40, 80, 90)])
def test_sums_of_many_numbers_round_as_little_as_those_of_few(shape):
  """One after the other, 300000 sums of numbers near 1 err by 1e-4."""
  x = jnp.float32(1 + 0.1 * _RNG.standard_normal(shape))
  found = moments.of(x)
  # Three steps of 4096 sums at most, whose roundings 2^-25 add up as a random
  # walk over growing sums: 3 sqrt(4096 / 3) 2^-25 = 3e-6.
  np.testing.assert_allclose(found.mean, np.mean(x, dtype=float), rtol=3e-6)
  square = np.mean(np.asarray(x, float) ** 2)
  np.testing.assert_allclose(found.rms**2, square, rtol=6e-6)


def test_a_variance_is_that_beside_the_mean_and_of_a_constant_zero():
  w = np.float32(100 + 1e-2 * _RNG.standard_normal((30, 20)))
  found = jax.tree.map(np.asarray, moments.spread(jnp.asarray(w)))
  np.testing.assert_allclose(found.mean, np.mean(w, dtype=float), rtol=1e-6)
  # w itself is rounded by 4e-6, a standard deviation of 1e-2 / 2500.
  np.testing.assert_allclose(found.variance, np.var(w, dtype=float), rtol=1e-3)
  assert found.largest == np.max(np.abs(w))
  for scale in (1e-30, 1e25, 1e36):
    far = jax.tree.map(
      np.asarray, moments.spread(jnp.float32(scale * (w - 100)))
    )
    exact = np.std(np.float32(scale * (w - 100)), dtype=float)
    # 600 terms, of which float32 rounds sums by some 2^-20.
    np.testing.assert_allclose(far.variance**0.5, exact, rtol=1e-6)
  for value in (0.1, -3.0):
    constant = jax.tree.map(np.asarray, moments.spread(jnp.full((7, 9), value)))
    assert constant.variance == 0 and constant.mean == np.float32(value)
    assert constant.largest == np.float32(abs(value))


def test_a_sink_gives_the_moments_of_what_comes_down():
  x = jnp.float32(_RNG.standard_normal((3, 4)))
  taken = moments.zeros((), True)
  down = jax.grad(lambda t: jnp.sum(jnp.sin(moments.sink(x, t))))(taken)
  expected = np.cos(np.asarray(x, float))
  np.testing.assert_allclose(down.mean, expected.mean(), rtol=1e-6)
  np.testing.assert_allclose(down.rms, np.sqrt(np.mean(expected**2)), rtol=1e-6)
