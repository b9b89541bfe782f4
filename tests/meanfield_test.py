"""Mean field theory against closed forms, other quadratures and networks."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from initlab import activations, base, meanfield, quadrature

# Printed to six decimals.
_PRINTED = 6e-7


def _erf_kernel(q, c):
  """E f(u_1) f(u_2) of f(x) = erf(sqrt(pi) x / 2) (Williams, 1997)."""
  scale = np.pi / 2 * q
  return 2 / np.pi * np.arcsin(scale * c / (1 + scale))


def _arc_cosine(c):
  """The correlation map of the ReLU (Cho & Saul, 2009, eq. 6)."""
  return (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c) / np.pi


@pytest.mark.parametrize(
  ('bias_variance', 'weight_variance', 'q'),
  [
    (0.001, 1.189190, 0.107292),
    (0.01, 1.424205, 0.273301),
    (0.05, 1.760955, 0.570048),
    (0.1, 1.986073, 0.805799),
    (0.2, 2.285152, 1.164496),
    (0.3, 2.505127, 1.461169),
  ],
)
def test_critical_line_of_tanh(bias_variance, weight_variance, q):
  """Against Gauss-Hermite quadrature of 201 nodes, done elsewhere."""
  point = meanfield.critical_line('tanh', bias_variance)
  np.testing.assert_allclose(point.weight_variance, weight_variance, atol=1e-6)
  np.testing.assert_allclose(point.q, q, atol=1e-6)
  again = meanfield.critical_point('tanh', point.q)
  np.testing.assert_allclose(again, point, rtol=1e-7)


def test_critical_points_of_tanh():
  for q, weight_variance, bias_variance in (
    (0.05, 1.093627, 1.2830e-4),
    (0.5, 1.687975, 0.0380412),
    (1.0, 2.153303, 0.150965),
  ):
    point = meanfield.critical_point('tanh', q)
    np.testing.assert_allclose(
      point.weight_variance, weight_variance, atol=_PRINTED
    )
    np.testing.assert_allclose(
      point.bias_variance, bias_variance, atol=_PRINTED
    )


def test_half_stable_points_of_gelu_and_swish():
  """Where dV/dq = chi_1 = 1: q* = (3 + sqrt 17) / 2 of the GELU.

  Roberts, Yaida & Hanin, The principles of deep learning theory, 2022, section
  5.3: (sb2, sw2) = (0.17292239, 1.98305826) and (0.55514317, 1.98800468). The
  GELU's slope is known in closed form there, so its q* is exact.
  """
  gelu = meanfield.critical_point('gelu', (3 + 17**0.5) / 2)
  swish = meanfield.critical_point('silu', 14.32017362)
  np.testing.assert_allclose(gelu[:2], (1.98305826, 0.17292239), atol=1e-7)
  np.testing.assert_allclose(swish[:2], (1.98800468, 0.55514317), atol=1e-7)
  for name, point in (('gelu', gelu), ('silu', swish)):
    near = np.array([1 - 1e-4, 1 + 1e-4]) * point.q
    low, high = meanfield.variance_map(name, near, *point[:2])
    # A central difference in V errs by h^2 V''', 1e-8; V itself by 1e-8 / 2e-4.
    np.testing.assert_allclose((high - low) / np.diff(near)[0], 1, atol=1e-4)


def test_fixed_points_of_tanh():
  ordered, chaotic = (
    meanfield.fixed_point('tanh', sw2, 0.05) for sw2 in (1.0, 2.0)
  )
  np.testing.assert_allclose(
    [ordered.q, ordered.chi_1, ordered.c],
    [0.193593, 0.759032, 1],
    atol=_PRINTED,
  )
  np.testing.assert_allclose(
    [chaotic.q, chaotic.chi_1, chaotic.c],
    [0.721762, 1.047666, 0.744082],
    atol=_PRINTED,
  )
  np.testing.assert_allclose(
    [ordered.xi_c, ordered.xi_q, chaotic.xi_q], [3.627, 1.748, 1.388], atol=6e-4
  )
  np.testing.assert_allclose(chaotic.xi_c, 25.21, atol=6e-3)
  np.testing.assert_allclose(
    chaotic.xi_gradient, 1 / np.log(1.047666), rtol=2e-5
  )


def test_critical_gain():
  assert meanfield.critical_gain('identity') == pytest.approx(1, abs=1e-9)
  assert meanfield.critical_gain('relu') == pytest.approx(2**0.5, abs=1e-9)
  assert meanfield.critical_gain('tanh') == pytest.approx(1, abs=1e-9)
  assert meanfield.critical_gain('tanh', 0.05) ** 2 == pytest.approx(
    1.760955, abs=1e-6
  )


@pytest.mark.parametrize(
  ('name', 'bias_variance', 'why'),
  [
    ('relu', 0.1, 'chi_1 = 1 nowhere'),
    ('gelu', 0.0, 'leaves its fixed point'),
  ],
)
def test_some_have_no_critical_weights(name, bias_variance, why):
  with pytest.raises(base.UserError, match=f'{name} has no critical.*{why}'):
    meanfield.critical_line(name, bias_variance)


def test_refuses_what_makes_no_sense():
  with pytest.raises(base.UserError, match='weight_variance'):
    meanfield.fixed_point('tanh', -1.0, 0.0)
  with pytest.raises(base.UserError, match='bias_variance'):
    meanfield.phase_diagram('tanh', [1.0], [np.nan])
  with pytest.raises(base.UserError, match='correlation'):
    meanfield.correlation_map('tanh', 1.5, 1.0, 1.0, 0.0)
  with pytest.raises(base.UserError, match='variance not negative'):
    meanfield.pair_averages('tanh', -1.0, 0.0)
  for q in (0.0, -1.0, 'large'):
    with pytest.raises(base.UserError, match='q must be'):
      meanfield.critical_point('tanh', q)
  with pytest.raises(base.UserError, match='biases would be -'):
    meanfield.critical_point('softplus', 1.0)
  with pytest.raises(base.UserError, match="unknown activation 'tahn'"):
    meanfield.fixed_point('tahn', 1.0, 0.0)
  with pytest.raises(base.UserError, match='has no mean field'):
    meanfield.fixed_point(jnp.zeros_like, 1.0, 0.0)


@pytest.mark.parametrize(
  ('f', 'kinks'),
  [
    (jnp.tanh, [0]),
    (jax.nn.relu, [0]),
    (jax.nn.hard_tanh, [-1, 0, 1]),
    (jax.nn.relu6, [0, 6]),
    (lambda x: jnp.abs(x - 0.12345678), [0, 0.12345678]),
  ],
)
def test_kinks_are_found(f, kinks):
  np.testing.assert_allclose(quadrature.kinks(f), kinks, atol=1e-11)


def test_variance_map_where_the_kinks_are_not_at_zero():
  """E of min(s^2, 1): the error function, in closed form."""
  q = np.array([0.1, 1.0, 30.0])
  edge = 1 / np.sqrt(q)
  inside = special.erf(edge / 2**0.5)
  tails = q * (inside - 2 * edge * stats.norm.pdf(edge)) + 1 - inside
  found = meanfield.variance_map(jax.nn.hard_tanh, q, 1.5, 0.2)
  np.testing.assert_allclose(found, 1.5 * tails + 0.2, rtol=1e-9)
  slope = meanfield.pair_averages(jax.nn.hard_tanh, q, 1.0).slope
  np.testing.assert_allclose(slope, inside, rtol=1e-9)


_CORRELATIONS = np.array([-1.0, -0.7, 0.0, 0.4, 0.999, 1 - 1e-9, 1.0])


def test_pairs_of_relu_and_erf_in_closed_form():
  relu, error = meanfield.correlation_map('relu', _CORRELATIONS, 3.0, 2.0, 0.0)
  np.testing.assert_allclose(relu, _arc_cosine(_CORRELATIONS), atol=1e-10)
  assert error.max() < 1e-8
  angle = np.arccos(_CORRELATIONS)
  slope = meanfield.pair_averages('relu', 3.0, _CORRELATIONS).slope
  np.testing.assert_allclose(slope, (1 - angle / np.pi) / 2, atol=1e-7)
  q = 40.0
  pair = meanfield.pair_averages(activations.erf, q, _CORRELATIONS)
  np.testing.assert_allclose(
    pair.product, _erf_kernel(q, _CORRELATIONS), atol=1e-9
  )
  np.testing.assert_allclose(pair.square, _erf_kernel(q, 1.0), rtol=1e-9)
  scale = np.pi / 2 * q
  slope = 1 / np.sqrt((1 + scale) ** 2 - (scale * _CORRELATIONS) ** 2)
  np.testing.assert_allclose(pair.slope, slope, rtol=1e-6)


def test_distances_of_near_examples_are_not_rounded_away():
  """1 - c' = chi (1 - c) to first order, of 1 - c = 1e-12: 1e-4 of rounding."""
  q = 0.5
  chi = float(meanfield.pair_averages('tanh', q, 1.0).slope)
  pair = meanfield.pair_averages('tanh', q, 1 - 1e-12)
  np.testing.assert_allclose(pair.distance, q * chi * 1e-12, rtol=2e-4)


def test_pairs_of_tanh_against_another_quadrature():
  q, c = 1.3, 0.35
  density = stats.multivariate_normal(cov=[[q, q * c], [q * c, q]]).pdf
  theirs, _ = integrate.dblquad(
    lambda x, y: np.tanh(x) * np.tanh(y) * density([x, y]),
    *(-10, 10, -10, 10),
    epsabs=1e-8,
    epsrel=1e-8,
  )
  pair = meanfield.pair_averages('tanh', q, c)
  np.testing.assert_allclose(pair.product, theirs, atol=1e-8)
  assert pair.error < 1e-8


@pytest.mark.parametrize(
  'f', [jax.nn.hard_tanh, pytest.param(jax.nn.selu, marks=pytest.mark.slow)]
)
def test_pairs_of_kinked_activations_are_what_is_simulated(f):
  """Within 6 standard errors of 400,000 pairs."""
  q, c, draws = 2.0, 0.6, 400_000
  z = np.random.default_rng(0).normal(size=(2, draws))
  u = q**0.5 * np.stack([z[0], c * z[0] + (1 - c**2) ** 0.5 * z[1]])
  values, slopes = activations.evaluate(f, u)
  pair = meanfield.pair_averages(f, q, c)
  half = (values[0] - values[1]) ** 2 / 2
  for drawn, found in (
    (values.prod(0), pair.product),
    (slopes.prod(0), pair.slope),
    (half, pair.distance),
  ):
    assert abs(drawn.mean() - found) < 6 * drawn.std() / draws**0.5


@pytest.mark.parametrize(
  ('f', 'weight_variance', 'bias_variance'),
  [
    ('tanh', 4.0, 0.1),
    pytest.param('sigmoid', 150.0, 1.0, marks=pytest.mark.slow),
    pytest.param('sin', 2.0, 0.05, marks=pytest.mark.slow),
    (jax.nn.hard_tanh, 3.0, 0.1),
    pytest.param(activations.erf, 2.5, 0.0, marks=pytest.mark.slow),
    pytest.param('selu', 1.2, 0.1, marks=pytest.mark.slow),
  ],
)
def test_fixed_points_of_the_maps(f, weight_variance, bias_variance):
  """By quadrature over pairs, which the fixed points do not use.

  c* is off by what it says, and by the quadrature; chi_c is the slope there.
  """
  point = meanfield.fixed_point(f, weight_variance, bias_variance)
  setting = (weight_variance, bias_variance)
  assert point.chi_1 > 1 and point.c < 1 and point.error < 1e-4
  q = meanfield.variance_map(f, point.q, *setting)
  np.testing.assert_allclose(q, point.q, rtol=1e-7)
  c, error = meanfield.correlation_map(f, point.c, point.q, *setting)
  assert abs(c - point.c) <= float(point.error) + float(error) + 1e-7
  pair = meanfield.pair_averages(f, point.q, point.c)
  np.testing.assert_allclose(
    weight_variance * pair.slope,
    point.chi_c,
    rtol=2e-3 if f == 'selu' else 1e-5,
  )


def test_signals_approach_the_fixed_point_at_the_depth_scales():
  """The last steps of 12 shrink by exp(-1 / xi) a layer, to first order."""
  setting = (2.0, 0.05)
  point = meanfield.fixed_point('tanh', *setting)
  path = meanfield.propagate('tanh', 0.9, 0.5, 12, *setting)
  apart = np.abs(path.q - point.q)
  np.testing.assert_allclose(
    apart[12] / apart[11], np.exp(-1 / point.xi_q), rtol=1e-3
  )
  path = meanfield.propagate(
    'tanh', float(point.q), float(point.c) - 1e-4, 3, *setting
  )
  apart = np.abs(path.c - point.c)
  np.testing.assert_allclose(
    apart[3] / apart[2], np.exp(-1 / point.xi_c), rtol=1e-3
  )


def test_relu_forgets_as_a_power_of_depth():
  """c_1 .. c_30 from c = 0, and l^2 (1 - c_l) -> 9 pi^2 / 2.

  Iterated by the closed form to l = 10^4, where 44.25 is printed.
  """
  path = meanfield.propagate('relu', 1.0, 0.0, 30, 2.0, 0.0)
  np.testing.assert_allclose(
    path.c[[1, 2, 3, 5, 10, 30]],
    [0.318310, 0.493731, 0.604826, 0.735946, 0.871536, 0.972011],
    atol=_PRINTED,
  )
  np.testing.assert_allclose(path.q, 1.0, rtol=1e-7)


def test_relu_below_and_above_criticality():
  below, at, above = (
    meanfield.fixed_point('relu', sw2, 0.0) for sw2 in (1.9, 2.0, 2.1)
  )
  assert (below.q, at.q, above.q) == (0, 1, np.inf)
  np.testing.assert_allclose(
    [below.chi_1, at.chi_1, above.chi_1], [0.95, 1, 1.05], rtol=1e-8
  )
  assert at.xi_c == np.inf
  biased = meanfield.fixed_point('relu', 1.0, 0.3)
  np.testing.assert_allclose(biased.q, 0.6, rtol=1e-8)


def test_phase_diagram_is_fast_and_bounded_by_the_critical_line():
  """200 x 200 settings in 10 s of a CPU, where chi_1 crosses 1 on the line."""
  weights, biases = np.linspace(0.5, 6, 200), np.linspace(0, 0.5, 200)
  start = time.process_time()
  grid = meanfield.phase_diagram('tanh', weights, biases)
  assert time.process_time() - start < 10
  assert grid.q.shape == (200, 200)
  for row in (20, 199):
    line = meanfield.critical_line('tanh', biases[row]).weight_variance
    np.testing.assert_array_equal(grid.chi_1[row] > 1, weights > line)
    np.testing.assert_array_equal(grid.c[row] < 1, weights > line)
  one = meanfield.fixed_point('tanh', weights[77], biases[33])
  for many, alone in zip(grid, one, strict=True):
    np.testing.assert_allclose(many[33, 77], alone, rtol=1e-9, atol=1e-15)
  assert np.isfinite(grid.error).all() and grid.error.max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize('weight_variance', [1.0, 1.4, 1.761, 2.0, 3.0, 4.0])
@pytest.mark.parametrize('bias_variance', [0.05, 0.2])
def test_wide_networks_end_at_the_fixed_point(weight_variance, bias_variance):
  """Width 1000 and 30 layers: q within 3%, from the last ten of four networks.

  One layer has q within sqrt(2 / 1000) = 4.5%, ten layers of four networks
  within 0.7% if they are independent; the finite width moves the mean by a few
  over n. A layer moves c by (1 - c^2) / sqrt(n), of which the next keeps chi,
  the slope of the map at c: in all (1 - c^2) / sqrt(n (1 - chi^2)), of four
  networks half. Five are allowed.
  """
  point = meanfield.fixed_point('tanh', weight_variance, bias_variance)
  n, depth, found = 1000, 30, []
  for seed in range(4):
    random = np.random.default_rng(seed)
    s = np.sqrt(point.q) * random.normal(size=(2, n))
    for layer in range(depth):
      w = random.normal(size=(n, n)) * (weight_variance / n) ** 0.5
      s = np.tanh(s) @ w + bias_variance**0.5 * random.normal(size=n)
      if layer >= depth - 10:
        q = (s**2).mean(1)
        found.append([q.mean(), (s[0] * s[1]).mean() / q.prod() ** 0.5])
  q, c = np.mean(found, axis=0)
  np.testing.assert_allclose(q, point.q, rtol=0.03)
  path = meanfield.propagate(
    'tanh', float(point.q), 0.0, depth, weight_variance, bias_variance
  )
  expected = path.c[-10:].mean()
  pair = meanfield.pair_averages('tanh', float(point.q), expected)
  chi = weight_variance * pair.slope
  error = (1 - expected**2) / np.sqrt(n * (1 - chi**2)) / 2
  np.testing.assert_allclose(c, expected, atol=5 * error + 0.01)
