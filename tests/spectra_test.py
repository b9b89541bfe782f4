"""Spectra of deep Jacobians, against closed forms and matrices."""

import jax
import numpy as np
import pytest
from scipy import stats

from initlab import activations, base, meanfield, spectra


def _moments(f, q, depth, weights):
  """Mass, mean and mean square of z = s^2, by the trapezoidal rule in log s.

  From the 1e-6th part of the largest on; the integrands vanish as a square root
  at the edge, so 200 points are good to 1e-3.
  """
  top = spectra.largest(f, q, depth, weights)
  log_s = np.log(top) - 14 * np.linspace(0, 1, 201)[1:] ** 2
  s = np.exp(log_s)
  found = spectra.density(f, q, depth, s, weights) * s
  return [-np.trapezoid(found * s**k, log_s) for k in (0, 2, 4)]


@pytest.mark.parametrize('depth', [1, 2, 4, 8])
def test_product_of_normal_matrices(depth):
  """s_max^2 = (L + 1)^(L + 1) / L^L, and of z the moments 1 and L + 1."""
  top = spectra.largest('identity', 1.0, depth, 'normal')
  expected = (depth + 1) ** (depth + 1) / depth**depth
  np.testing.assert_allclose(top**2, expected, rtol=1e-6)
  mean, variance = spectra.moments('identity', 1.0, depth, 'normal')
  np.testing.assert_allclose([mean, variance], [1, depth], rtol=1e-9)


def test_two_normal_matrices_follow_fuss_and_catalan():
  """Of z, by Penson & Zyczkowski, 2011, eq. 13, of order 2."""
  z = np.array([0.05, 0.5, 2.0, 6.0])
  root = (27 + 3 * np.sqrt(81 - 12 * z)) ** (1 / 3)
  density = (2 ** (1 / 3) * root**2 - 6 * z ** (1 / 3)) * 2 ** (1 / 3) * 3**0.5
  density = density / (12 * np.pi * z ** (2 / 3) * root)
  found = spectra.density('identity', 1.0, 2, np.sqrt(z), 'normal')
  np.testing.assert_allclose(found / (2 * np.sqrt(z)), density, rtol=1e-6)


def test_two_orthogonal_relu_layers_are_two_free_projections():
  """z = 4 x of density 1 / (2 pi sqrt(x (1 - x))), and 0 with the share 1/2."""
  x = np.array([0.02, 0.4, 0.95])
  density = 1 / (2 * np.pi * np.sqrt(x * (1 - x))) / 4
  s = np.sqrt(4 * x)
  found = spectra.density('relu', 1.0, 2, s)
  np.testing.assert_allclose(found / (2 * s), density, rtol=1e-6)
  assert spectra.atoms('relu', 1.0, 2) == {0.0: 0.5}
  np.testing.assert_allclose(spectra.largest('relu', 1.0, 2), 2, rtol=1e-6)


@pytest.mark.parametrize(
  ('f', 'q', 'depth', 'weights'),
  [
    ('relu', 1.0, 6, 'orthogonal'),
    ('relu', 1.0, 6, 'normal'),
    ('tanh', 0.05, 16, 'orthogonal'),
    pytest.param('tanh', 0.5, 16, 'normal', marks=pytest.mark.slow),
    pytest.param(activations.erf, 0.5, 8, 'orthogonal', marks=pytest.mark.slow),
    pytest.param(jax.nn.hard_tanh, 0.5, 4, 'normal', marks=pytest.mark.slow),
    pytest.param(
      jax.nn.hard_tanh, 0.5, 4, 'orthogonal', marks=pytest.mark.slow
    ),
  ],
)
def test_the_density_has_the_moments(f, q, depth, weights):
  """Which come from the series of the S-transform, not from the density."""
  mass, mean, square = _moments(f, q, depth, weights)
  expected = spectra.moments(f, q, depth, weights)
  for value, share in spectra.atoms(f, q, depth, weights).items():
    mass, mean = mass + share, mean + share * value**2
    square += share * value**4
  np.testing.assert_allclose(mean, expected.mean, rtol=1e-3)
  np.testing.assert_allclose(square - mean**2, expected.variance, rtol=2e-3)
  # Below the 1e-6th part of the largest there are some 1e-6^(1 / L) of them.
  if f == 'tanh' and weights == 'orthogonal':
    np.testing.assert_allclose(mass, 1, atol=1e-3)


def test_variance_of_tanh_at_small_q():
  """mu_2 / mu_1^2 - 1: .000727, .01332, .03971, .2992; 8 q^2 as q -> 0."""
  for q, expected in (
    (0.01, 0.000727),
    (0.05, 0.01332),
    (0.1, 0.03971),
    (0.5, 0.2992),
  ):
    found = spectra.moments('tanh', q, 1).variance
    np.testing.assert_allclose(found, expected, rtol=2e-3)
  np.testing.assert_allclose(
    spectra.moments('tanh', 1e-4, 10).variance, 10 * 8e-8, rtol=3e-3
  )


def test_hard_tanh_has_exact_isometries():
  """P(|s| < 1) = a: 1 - 8 (1 - a) have the largest, 1 - a the value 0."""
  a = 1 - 2 * stats.norm.sf(1, scale=0.3**0.5)
  found = spectra.atoms(jax.nn.hard_tanh, 0.3, 8)
  expected = {0.0: 1 - a, a**-4: 1 - 8 * (1 - a)}
  np.testing.assert_allclose(list(found), list(expected), rtol=1e-9)
  np.testing.assert_allclose(
    list(found.values()), list(expected.values()), rtol=1e-9
  )
  assert spectra.atoms(jax.nn.hard_tanh, 0.3, 8, 'normal').keys() == {0.0}


def test_off_criticality_the_spectrum_is_scaled():
  """By sw2^(L / 2): s = a s', of density p(s / a) / a."""
  s, depth, ratio = np.array([0.3, 1.1]), 5, 1.3
  law = meanfield.critical_point('tanh', 0.2)
  scale = ratio ** (depth / 2)
  critical = spectra.density('tanh', 0.2, depth, s)
  found = spectra.density(
    'tanh', 0.2, depth, scale * s, weight_variance=ratio * law.weight_variance
  )
  np.testing.assert_allclose(found * scale, critical, rtol=1e-5)


def test_refuses_what_has_no_density():
  for name, depth in (('tanh', 1), ('identity', 3)):
    with pytest.raises(base.UserError, match='no density'):
      spectra.density(name, 0.5, depth, np.ones(1))
  with pytest.raises(base.UserError, match='positive singular'):
    spectra.density('tanh', 0.5, 2, np.zeros(1))
  with pytest.raises(base.UserError, match="kind of weights 'orthonormal'"):
    spectra.moments('tanh', 0.5, 2, 'orthonormal')
  with pytest.raises(base.UserError, match='depth'):
    spectra.largest('tanh', 0.5, 0)


@pytest.mark.slow
@pytest.mark.parametrize('weights', ['orthogonal', 'normal'])
@pytest.mark.parametrize(
  ('f', 'q', 'depth'),
  [('relu', 1.0, 4), ('tanh', 0.5, 8), (jax.nn.hard_tanh, 0.3, 4)],
)
def test_matrices_of_400_units_follow_the_density(f, q, depth, weights):
  """Shares above five values within 0.01, of slopes at the quantiles of s.

  Singular values of such matrices repel each other: a share fluctuates by about
  1 / n, and is off by as much.
  """
  n, random = 400, np.random.default_rng(0)
  quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n, scale=q**0.5)
  sw2 = meanfield.critical_point(f, q).weight_variance if f != 'relu' else 2.0
  jacobian = np.eye(n)
  for layer in range(depth):
    if weights == 'normal':
      w = random.normal(size=(n, n)) / n**0.5
    else:
      w = stats.ortho_group.rvs(n, random_state=layer)
    s = random.permutation(quantiles)
    slopes = activations.evaluate(activations.resolve(f), s)[1]
    jacobian = sw2**0.5 * slopes[:, None] * (w @ jacobian)
  drawn = np.linalg.svd(jacobian, compute_uv=False)
  top = spectra.largest(f, q, depth, weights)
  assert drawn.max() < 1.05 * top
  log_s = np.log(top) - 20 * np.linspace(0, 1, 801) ** 2
  log_s = log_s[1:]
  mass = spectra.density(f, q, depth, np.exp(log_s), weights) * np.exp(log_s)
  for share in (0.15, 0.3, 0.5, 0.7, 0.9):
    at = share * top
    above = log_s > np.log(at)
    expected = -np.trapezoid(mass[above], log_s[above])
    expected += sum(
      part
      for value, part in spectra.atoms(f, q, depth, weights).items()
      if value > at
    )
    assert abs(np.mean(drawn > at) - expected) < 0.01, share
