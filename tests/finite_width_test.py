"""Laws of finite widths, against simulation and exact moments."""

import jax
import numpy as np
import pytest

from initlab import base, finite_width, initializers, keys

_DRAWS = 100_000


def _chain(width, depth, draws, relu=True):
  """ln |h_L|^2 / |h_0|^2 of critical networks, drawn layer by layer.

  Of n normal weights a unit sees s = |h| z, so only the z's are drawn.
  """
  random = np.random.default_rng(0)
  found = np.zeros(draws)
  for _ in range(depth):
    active = random.binomial(width, 0.5, draws) if relu else width
    active = np.maximum(active, 1e-300)  # whose chi^2 is 0
    step = random.chisquare(active, draws) * (2 if relu else 1) / width
    with np.errstate(divide='ignore'):
      found += np.log(step)
  return found


@pytest.mark.parametrize(('width', 'depth'), [(100, 20), (50, 10)])
def test_lengths_of_relu_networks_are_log_normal(width, depth):
  """The first two moments of ln, to order 1 / n; the fourth of |h| exactly.

  b is sum 5 / n where the exact step has 5 / n (1 + 4 / n); the ratio, whose
  relative standard error is measured, needs no such slack.
  """
  log = _chain(width, depth, _DRAWS)
  law = finite_width.log_normal([width] * depth)
  np.testing.assert_allclose(law.mean, -law.variance / 2)
  np.testing.assert_allclose(log.mean(), law.mean, atol=6 / width)
  np.testing.assert_allclose(log.var(), law.variance, rtol=6 / width)
  ratio = finite_width.fourth_moment_ratio([width] * depth)
  square = np.exp(2 * log)
  error = square.std() / _DRAWS**0.5
  assert abs(square.mean() - ratio) < 6 * error


def test_numbers_of_the_literature():
  assert finite_width.log_normal([100] * 20).variance == pytest.approx(1)
  ratio = finite_width.fourth_moment_ratio
  assert ratio([100] * 20) == pytest.approx(2.653, abs=5e-4)
  assert ratio([50] * 10) == pytest.approx(2.594, abs=5e-4)
  assert ratio([256] * 50) == pytest.approx(2.630, abs=5e-4)
  assert ratio([10, 20], 'identity') == pytest.approx(1.2 * 1.1)


def test_first_layer_knows_the_kurtosis_of_its_weights():
  """|W e_1|^2 is a sum of squared weights: Var ln, to order 1 / n.

  A linear layer has (mu_4 - 1) / n, a ReLU layer (2 mu_4 - 1) / n.
  """
  n, kurtosis = 40, 1.8
  linear = finite_width.log_normal([n], 1.0, kurtosis, 1.0)
  relu = finite_width.log_normal([n], 0.5, kurtosis, 1.0)
  np.testing.assert_allclose(linear.variance, (kurtosis - 1) / n)
  np.testing.assert_allclose(relu.variance, (2 * kurtosis - 1) / n)


@pytest.mark.parametrize('name', ['relu', 'identity'])
@pytest.mark.parametrize('width', [3, 100])
def test_walk_is_what_is_drawn(name, width):
  """Mean and variance of one step within 6 standard errors."""
  steps = _chain(width, 1, _DRAWS, relu=name == 'relu')
  steps = steps[np.isfinite(steps)]  # all units off: 1 in 8 of 3
  steps = steps - np.log(2 if name == 'relu' else 1)
  found = finite_width.walk(width, name)
  assert abs(steps.mean() - found.drift) < 6 * steps.std() / _DRAWS**0.5
  square = (steps - steps.mean()) ** 2
  error = square.std() / _DRAWS**0.5
  assert abs(square.mean() - found.variance) < 6 * error


def test_gains_without_drift():
  """Exact ones, and the drift that the fits of Sussillo & Abbott leave."""
  for width, gain in ((100, 1.432304), (1000, 1.415985)):
    found = finite_width.unbiased_gain(width)
    assert found == pytest.approx(gain, abs=6e-7)
    assert finite_width.walk(width, gain=found).drift == pytest.approx(0)
  linear = finite_width.walk(100, 'identity')
  assert linear.drift == pytest.approx(-0.010033, abs=6e-7)
  assert linear.variance == pytest.approx(2 / 100, rel=0.011)
  law = initializers.SCHEMES['random_walk'].law(100, 100)
  fitted = (100 * law.variance) ** 0.5
  assert finite_width.walk(100, gain=fitted).drift == pytest.approx(
    -0.000836, abs=6e-6
  )
  assert finite_width.walk(100, gain=2**0.5).drift == pytest.approx(
    -0.02542, abs=6e-6
  )
  # A leak of slope a = b is a linear layer of that gain.
  steep = finite_width.walk(50, lambda x: 3 * x).drift
  assert steep == pytest.approx(
    finite_width.walk(50, 'identity', 3.0).drift, abs=1e-9
  )


@pytest.mark.parametrize('theta', [0.05, 0.3])
def test_angles_of_relu_layers(theta):
  """ln sin^2 theta' of 40,000 layers: 5 standard errors, and 20 / n^2.

  The formula's remainder, of the order 1 / n^2, is 77 / n^2 at n = 50 and 76 /
  n^2 at n = 200, as measured with 200,000 layers.
  """
  n, draws = 60, 40_000
  z = np.random.default_rng(1).normal(size=(2, draws, n)).astype(np.float32)
  x, y = z[0], np.cos(theta) * z[0] + np.sin(theta) * z[1]
  x, y = (np.maximum(each, 0).astype(float) for each in (x, y))
  cosine = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
  log = np.log(1 - cosine**2)
  found = finite_width.angle(theta, n)
  error = log.std() / draws**0.5
  assert abs(log.mean() - found - 76 / n**2) < 5 * error + 20 / n**2
  assert 7 / n < log.var() < 9 / n


def test_angles_shrink_by_two_over_n():
  """rho = 2 / n + 100 / n^2 + ..., besides 2 theta / (3 pi)."""
  n, theta = 100_000, 0.1
  lost = np.log(np.sin(theta) ** 2) - finite_width.angle(theta, n)
  rho = lost - 2 * theta / (3 * np.pi)
  np.testing.assert_allclose(n * rho, 2, rtol=1e-3)


def test_refuses_what_it_does_not_know():
  with pytest.raises(base.UserError, match='positively homogeneous'):
    finite_width.fourth_moment_ratio([10], 'tanh')
  with pytest.raises(base.UserError, match='linear and of ReLU'):
    finite_width.walk(10, 'leaky_relu')
  with pytest.raises(base.UserError, match='widths'):
    finite_width.log_normal([10, 0])
  with pytest.raises(base.UserError, match='probability'):
    finite_width.log_normal([10], 0.0)
  with pytest.raises(base.UserError, match='angle'):
    finite_width.angle(0.0, 10)


@pytest.mark.slow
def test_real_networks_of_100_units_and_20_layers():
  """500 seeds of `he_normal` with ReLU: 6 standard errors and 6 / n."""
  he, n = initializers.he_normal(), 100

  def length(seed):
    key = keys.at(keys.root(0), seed)
    h = jax.numpy.ones(n)
    for layer in range(20):
      w = he(keys.at(key, layer), (n, n))
      h = jax.nn.relu(h @ w)
    return jax.numpy.log(jax.numpy.mean(h**2))

  seeds = jax.numpy.arange(500, dtype=jax.numpy.uint32)
  many = lambda seeds: jax.lax.map(length, seeds)
  log = np.asarray(jax.jit(many)(seeds), float)
  law = finite_width.log_normal([n] * 20)
  error = log.std() / len(log) ** 0.5
  assert abs(log.mean() - law.mean) < 6 * error + 6 / n
  assert abs(log.var() / law.variance - 1) < 6 * (2 / len(log)) ** 0.5 + 6 / n
