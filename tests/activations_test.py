"""Activations and their Gaussian averages, against closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from initlab import activations, base

_ALL = tuple(activations.ACTIVATIONS)

# The quadrature and these closed forms are both good to about 1e-14; what is
# left is their sum's rounding over 512 nodes.
_ROUNDING = 1e-12


@pytest.mark.parametrize('name', _ALL)
def test_keeps_shape_and_dtype(name):
  for dtype in (jnp.float32, jnp.bfloat16):
    x = jnp.linspace(-3, 3, 12, dtype=dtype).reshape(3, 4)
    y = activations.ACTIVATIONS[name](x)
    chex.assert_shape(y, (3, 4))
    assert y.dtype == dtype
    chex.assert_tree_all_finite(y)


@pytest.mark.slow
@pytest.mark.parametrize('name', _ALL)
def test_moments_agree_with_adaptive_quadrature(name):
  f = activations.ACTIVATIONS[name]
  mean, variance = 0.3, 1.7
  first, second, _ = activations.moments(f, np.asarray(variance), mean)
  density = stats.norm(mean, variance**0.5).pdf
  value = lambda s: activations.evaluate(f, np.array([s]))[0][0]
  for power, mine in ((1, first), (2, second)):
    theirs, _ = integrate.quad(
      lambda s, power=power: density(s) * value(s) ** power,
      -13,
      13,
      points=[0],
      epsabs=1e-9,
      limit=200,
    )
    np.testing.assert_allclose(mine, theirs, atol=1e-7)


def test_derivative_is_the_slope():
  """A central difference in double precision errs by h^2 f''' / 6 < 1e-9."""
  x, h = np.array([-2.1, -0.4, 0.7, 1.3]), 1e-5
  for name, f in activations.ACTIVATIONS.items():
    above, below = (activations.evaluate(f, x + e)[0] for e in (h, -h))
    slopes = activations.evaluate(f, x)[1]
    np.testing.assert_allclose(
      slopes, (above - below) / (2 * h), atol=1e-9, err_msg=name
    )


@pytest.mark.parametrize(
  ('activation', 'gain'),
  [
    ('identity', 1.0),
    ('relu', 2**0.5),
    (lambda x: jnp.where(x > 0, x, 0.3 * x), (2 / 1.09) ** 0.5),
    (lambda x: x**2, 3**-0.5),
    (jnp.sin, ((1 - np.exp(-2)) / 2) ** -0.5),
    ('selu', 1.0),
  ],
)
def test_gain_in_closed_form(activation, gain):
  assert abs(activations.gain(activation) - gain) < _ROUNDING


def test_gain_of_the_tables():
  """1.592537 for tanh, 2.337533 for softsign."""
  assert round(activations.gain('tanh'), 6) == 1.592537
  assert round(activations.gain('softsign'), 6) == 2.337533


def test_gain_is_a_number_while_tracing():
  compiled = jax.jit(lambda x: x * activations.gain('tanh'))
  chex.assert_trees_all_close(compiled(1.0), 1.5925374)


@pytest.mark.parametrize('f', [jnp.zeros_like, lambda x: x * jnp.inf])
def test_refuses_a_gain_that_is_none(f):
  with pytest.raises(base.UserError, match='no gain'):
    activations.gain(f)


def test_unknown_name_is_told_what_is_near():
  with pytest.raises(base.UserError, match="did you mean 'softsign'"):
    activations.gain('softsing')


def test_lecun_tanh_of_efficient_backprop():
  """Of LeCun et al. (1998): f(1), f'(0), E f(z)^2."""
  f = activations.lecun_tanh
  value, slope = activations.evaluate(f, np.array([1.0, 0.0]))
  np.testing.assert_allclose(value[0], 0.9999973, atol=5e-8)
  np.testing.assert_allclose(slope[1], 1.143933, atol=5e-7)
  second = activations.moments(f, np.ones(()))[1]
  np.testing.assert_allclose(second, 0.75043, atol=5e-6)


@pytest.mark.parametrize('deviation', [1.0, 30.0, 100.0, 1000.0])
def test_moments_of_sin_at_any_deviation(deviation):
  """E sin^2 = (1 - exp(-2 q)) / 2, to the 1e-8 that `moments` states."""
  first, second, slope = activations.moments(jnp.sin, np.array(deviation**2))
  even = np.exp(-2 * deviation**2)
  assert abs(first) < 1e-8
  np.testing.assert_allclose(second, (1 - even) / 2, rtol=1e-8)
  np.testing.assert_allclose(slope, (1 + even) / 2, rtol=1e-8)


def test_moments_that_cannot_be_had_are_nan():
  variance = np.array([1.0, 1e12])
  for moment in activations.moments(jnp.sin, variance):
    assert np.isfinite(moment[0]) and np.isnan(moment[1])


def test_moments_with_kinks_and_jumps_anywhere():
  """clip(s, -1, 1) and [s > 0.3], from the normal law."""
  clip = lambda x: jnp.clip(x, -1.0, 1.0)
  first, second, slope = activations.moments(clip, np.ones(()))
  inside = 1 - 2 * stats.norm.sf(1)
  partial = inside - 2 * stats.norm.pdf(1)
  np.testing.assert_allclose(slope, inside, rtol=1e-8)
  np.testing.assert_allclose(second, partial + 1 - inside, rtol=1e-8)
  assert abs(first) < 1e-8
  step = lambda x: jnp.where(x > 0.3, 1.0, 0.0)
  share = stats.norm.sf(0.3)
  for moment in activations.moments(step, np.ones(()))[:2]:
    np.testing.assert_allclose(moment, share, rtol=1e-8)


def test_homogeneous_slopes():
  for name, expected in {
    'relu': (1.0, 0.0),
    'prelu': (1.0, 0.25),
    'identity': (1.0, 1.0),
    'tanh': None,
    'elu': None,
    'gelu': None,
  }.items():
    found = activations.homogeneous_slopes(activations.ACTIVATIONS[name])
    assert found == expected, name


def test_jumps_of_the_slope():
  found = {
    name: round(activations.slope_jump(activations.ACTIVATIONS[name]), 6)
    for name in ('relu', 'leaky_relu', 'selu', 'elu', 'tanh')
  }
  selu = 1.0507009873554805 * (1 - 1.6732632423543772)
  assert found == {
    'relu': 1.0,
    'leaky_relu': 0.99,
    'selu': round(selu, 6),
    'elu': 0.0,
    'tanh': 0.0,
  }


def test_zero_variance_is_a_point():
  first, second, slope = activations.moments(jnp.tanh, np.zeros(2), 0.5)
  np.testing.assert_allclose(first, np.tanh(0.5), rtol=1e-14)
  np.testing.assert_allclose(second, np.tanh(0.5) ** 2, rtol=1e-14)
  np.testing.assert_allclose(slope, np.cosh(0.5) ** -4, rtol=1e-13)


@pytest.mark.parametrize('variance', [0.1, 1.0, 30.0])
def test_saturated_share_in_closed_form(variance):
  """tanh' < 0.1 beyond atanh(sqrt 0.9); half of all units with ReLU.

  XLA's tanh' errs by about 1e-10 in double precision, which moves the edge, and
  the tail magnifies that by edge / variance < 20.
  """
  edge = np.arctanh(0.9**0.5)
  expected = 2 * stats.norm.sf(edge / variance**0.5)
  share = activations.saturated_share(jnp.tanh, np.asarray(variance))
  np.testing.assert_allclose(share, expected, rtol=1e-7)
  relu = activations.saturated_share(jax.nn.relu, np.asarray(variance))
  np.testing.assert_allclose(relu, 0.5, rtol=1e-9)
  none = activations.saturated_share(activations.identity, np.asarray(variance))
  assert none == 0


def test_saturated_share_of_a_point():
  zero = np.zeros(2)
  np.testing.assert_array_equal(
    activations.saturated_share(jnp.tanh, zero), zero
  )
  np.testing.assert_array_equal(
    activations.saturated_share(jnp.tanh, zero, 5.0), zero + 1
  )


def test_saturated_share_with_a_bias():
  """Larochelle's sparse sigmoid: with bias -10 nearly all units saturate."""
  share = activations.saturated_share(jax.nn.sigmoid, np.ones(()), -10.0)
  assert share > 1 - 1e-6
