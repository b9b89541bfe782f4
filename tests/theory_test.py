"""Theory against measurement, and against closed forms of the papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from initlab import (
  activations,
  base,
  initializers,
  keys,
  losses,
  mlp,
  probes,
  theory,
)

_WIDTHS = (120, 150, 100, 130, 6)
_SEEDS = 24
_COST = losses.LOSSES['cross_entropy']


def _batch():
  spread = jnp.exp(0.3 * jax.random.normal(keys.root(8), (64, 1)))
  x = spread * jax.random.normal(keys.root(9), (64, _WIDTHS[0]))
  return base.Batch(x, jnp.arange(64, dtype=jnp.int32) % 6)


def _measure(scheme, activation, bias, names):
  def run(seed):
    key = keys.stream(keys.at(keys.root(0), seed), 'init')
    extra = scheme.bias() if scheme.bias else None
    params = mlp.init(key, _WIDTHS, scheme.make(), extra, shift=bias)
    signals = mlp.signals(params, _batch(), activation, _COST.per_example)
    return {n: probes.PROBES[n](params, activation, signals) for n in names}

  return jax.jit(lambda seeds: jax.lax.map(run, seeds))(
    jnp.arange(_SEEDS, dtype=jnp.uint32)
  )


@pytest.mark.parametrize(
  ('name', 'activation', 'bias'),
  [
    ('glorot', 'tanh', 0.0),
    pytest.param('torch', 'softsign', 0.3, marks=pytest.mark.slow),
    pytest.param('orthogonal', 'tanh', 0.0, marks=pytest.mark.slow),
    pytest.param('standard', 'sin', 0.0, marks=pytest.mark.slow),
    pytest.param('he', 'relu', 0.0, marks=pytest.mark.slow),
  ],
)
def test_mean_field_is_what_is_measured(name, activation, bias):
  """Each hidden layer within 5 standard errors and the finite-width correction.

  Widths of 100 to 150 move a variance by up to a few over n: 3 / 100 of it, so
  2% of a deviation, and ReLU's more, with 5 / n a layer.
  """
  scheme = initializers.SCHEMES[name]
  f = activations.ACTIVATIONS[activation]
  laws = theory.layers(scheme, _WIDTHS)
  predicted = theory.predict(laws, np.asarray(_batch().x), f, _COST, bias=bias)
  measured = _measure(scheme, f, bias, predicted)
  slack = 0.04 if activation == 'relu' else 0.02
  for field, expected in predicted.items():
    seeds = np.asarray(measured[field], float)
    mean = seeds.mean(0)
    error = seeds.std(0, ddof=1) / _SEEDS**0.5
    hidden = slice(None, -1) if field == 'activation_std' else slice(None)
    bound = 5 * error + slack * np.abs(expected) + 1e-4
    off = np.abs(mean - expected)
    assert (np.atleast_1d(off)[hidden] < np.atleast_1d(bound)[hidden]).all(), (
      field,
      mean,
      expected,
    )


def test_averages_are_per_example():
  """One average q is off where the inputs' norms differ."""
  laws = theory.layers(initializers.SCHEMES['glorot'], (50, 1000, 1000, 4))
  norms = np.array([0.2, 3.0])[:, None] * np.ones((2, 50))
  alike = np.sqrt((0.04 + 9) / 2) * np.ones((2, 50))
  each, one = (
    theory.predict(laws, x, jnp.tanh, _COST)['activation_std'][0]
    for x in (norms, alike)
  )
  assert abs(each / one - 1) > 0.03


def test_linear_networks_obey_glorot_and_bengio_exactly():
  """Equations 5, 6 and 14 with f(x) = x and equal widths."""
  n, depth = 50, 5
  laws = theory.layers(initializers.SCHEMES['standard'], (n,) * (depth + 1))
  x = np.ones((3, n))
  found = theory.predict(laws, x, activations.identity, _COST)
  third = 3.0 ** -np.arange(1, depth + 1)
  np.testing.assert_allclose(found['activation_std'], third**0.5, rtol=1e-9)
  gradient = found['gradient_std'] / found['gradient_std'][-1]
  np.testing.assert_allclose(gradient, (third[::-1] * 3) ** 0.5, rtol=1e-9)
  weights = found['weight_gradient_std']
  np.testing.assert_allclose(weights, weights[0], rtol=1e-9)


@pytest.mark.parametrize(
  ('name', 'shape', 'expected'),
  [
    ('lecun_normal', (1000, 1000), 8 / (3 * np.pi)),
    ('standard', (1000, 1000), 8 / (3 * np.pi) / 3**0.5),
    ('orthogonal', (300, 300), 1.0),
    ('orthogonal', (300, 100), 1.0),
    ('orthogonal', (100, 300), 1.0),
  ],
)
def test_mean_singular_value_in_closed_form(name, shape, expected):
  """The quarter-circle law, .849 and .490; 1 for isometries.

  The 96-point rule meets the square-root edge of the spectrum: 1e-5.
  """
  laws = theory.layers(initializers.SCHEMES[name], shape)
  x = np.ones((1, shape[0]))
  found = theory.predict(laws, x, jnp.tanh, _COST)['mean_singular_value']
  np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize('shape', [(200, 300), (300, 200), (250, 250)])
@pytest.mark.parametrize('name', ['lecun_normal', 'orthogonal'])
def test_mean_singular_value_with_random_slopes(name, shape):
  """Against exact singular values, of slopes at the quantiles of s.

  Both differ from the limit by O(1/n), so 1% at n = 200.
  """
  scheme = initializers.SCHEMES[name]
  w = np.asarray(scheme.make()(keys.root(0), shape), float)
  n = shape[1]
  quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n, scale=1.5)
  random = np.random.default_rng(0)
  s = np.stack([random.permutation(quantiles) for _ in range(20)])
  jacobians = (1 / np.cosh(s) ** 2)[:, :, None] * w.T
  exact = np.linalg.svd(jacobians, compute_uv=False).mean()
  law = theory.layers(scheme, shape)[0]
  (found,) = theory._mean_singular_value(law, np.array([2.25]), jnp.tanh, 0.0)
  np.testing.assert_allclose(found, exact, rtol=0.01)


@pytest.mark.parametrize('name', ['glorot', 'orthogonal'])
def test_tabulated_singular_values_are_those_computed(name):
  law = theory.layers(initializers.SCHEMES[name], (90, 120))[0]
  q = np.geomspace(1e-4, 30, 100)
  at = lambda q: theory._mean_singular_value(law, q, jnp.tanh, 0.0)
  np.testing.assert_allclose(theory._smooth(at, q), at(q), rtol=1e-5)


def test_fixed_weights_have_no_theory():
  for name in ('zeros', 'identity', 'zero'):
    laws = theory.layers(initializers.SCHEMES[name], (4, 4, 4))
    assert theory.predict(laws, np.ones((1, 4)), jnp.tanh, _COST) == {}


def test_selu_is_a_fixed_point():
  laws = theory.layers(initializers.SCHEMES['selu'], (10,) * 100)
  x = np.array([[1.0, -1.0] * 5])
  found = theory.predict(laws, x, jax.nn.selu, _COST)
  np.testing.assert_allclose(found['activation_std'], 1.0, rtol=1e-9)
