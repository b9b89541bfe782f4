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


def _measure(scheme, activation, bias, loss, names):
  """Probe -> `[S, L]`, all of one program."""

  def run(seed):
    key = keys.stream(keys.at(keys.root(0), seed), 'init')
    extra = scheme.bias() if scheme.bias else None
    params = mlp.init(key, _WIDTHS, scheme.make(), extra, shift=bias)
    signals = mlp.signals(params, _batch(), activation, loss.per_example)
    return {n: probes.PROBES[n](params, activation, signals) for n in names}

  return jax.jit(lambda seeds: jax.lax.map(run, seeds))(
    jnp.arange(_SEEDS, dtype=jnp.uint32)
  )


def _predict(laws, activation, loss, bias):
  x = np.asarray(_batch().x)
  carried = theory.pairs(laws, _batch(), activation, loss, bias=bias)
  found = theory.predict(laws, x, activation, loss, bias=bias)
  found |= theory.predict_examples(carried, bias)
  noise = theory.finite_width(laws, carried, activation, bias)
  if noise is not None:
    found['activation_std'] = found['activation_std'] * np.exp(-noise / 4)
  return found


@pytest.mark.parametrize(
  ('name', 'activation', 'bias'),
  [
    ('glorot', 'tanh', 0.5),
    pytest.param('glorot', 'tanh', 0.0, marks=pytest.mark.slow),
    pytest.param('torch', 'softsign', 0.3, marks=pytest.mark.slow),
    pytest.param('torch', 'relu', 0.0, marks=pytest.mark.slow),
    pytest.param('glorot', 'sigmoid', 0.0, marks=pytest.mark.slow),
    pytest.param('orthogonal', 'tanh', 0.0, marks=pytest.mark.slow),
    pytest.param('standard', 'sin', 0.0, marks=pytest.mark.slow),
    pytest.param('lecun_normal', 'selu', -0.5, marks=pytest.mark.slow),
    pytest.param('he', 'relu', 0.0, marks=pytest.mark.slow),
    pytest.param('he', 'relu', 0.2, marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize(
  'cost',
  [
    cost
    if cost == 'cross_entropy'
    else pytest.param(cost, marks=pytest.mark.slow)
    for cost in losses.LOSSES
  ],
)
def test_mean_field_is_what_is_measured(name, activation, bias, cost):
  """Each hidden layer within 5 standard errors and the finite-width correction.

  Widths of 100 to 150 move a variance by up to a few over n: 3 / 100 of it, so
  2% of a deviation, and ReLU's more, with 5 / n a layer. Among 6 logits the
  mean that they share is not small, so their pooled deviations are left out,
  and so are those of a gradient with a mean. The cosine of random vectors of n
  units has a standard deviation of 1 / sqrt(n), and is off by up to 1 / n.
  """
  scheme = initializers.SCHEMES[name]
  f = activations.ACTIVATIONS[activation]
  laws = theory.layers(scheme, _WIDTHS)
  loss = losses.LOSSES[cost]
  predicted = _predict(laws, f, loss, bias)
  measured = _measure(scheme, f, bias, loss, predicted)
  slack = 0.04 if activation in ('relu', 'selu') else 0.02
  pooled = ('activation_std', 'gradient_std', 'weight_gradient_std')
  for field, expected in predicted.items():
    seeds = np.asarray(measured[field], float)
    mean = seeds.mean(0)
    error = seeds.std(0, ddof=1) / _SEEDS**0.5
    hidden = slice(None, -1) if field in pooled else slice(None)
    bound = 5 * error + slack * np.abs(expected) + 1e-4
    if field == 'example_cosine':
      bound = bound + 1 / np.array(_WIDTHS[1:])
    off = np.abs(mean - expected)
    assert (np.atleast_1d(off)[hidden] < np.atleast_1d(bound)[hidden]).all(), (
      field,
      mean,
      expected,
    )


def test_a_mean_gradient_is_no_deviation():
  """Squared error with bias 1: dC/ds = s - e_y has the mean 1 - 1/K.

  With one input and K = 2 logits s ~ N(1, q), half of the residuals are s - 1
  and half are s, so their variance is q + 1/4, by hand.
  """
  laws = theory.layers(initializers.SCHEMES['lecun_normal'], (1, 2))
  x = np.array([[0.5]])
  squared = losses.LOSSES['squared_error']
  found = theory.predict(laws, x, jnp.tanh, squared, bias=1.0)
  np.testing.assert_allclose(found['gradient_std'], (0.25 + 0.25) ** 0.5)
  mean_product = 0.5 * 0.5
  square = 0.25 * (0.25 + 0.25 + 0.25)
  np.testing.assert_allclose(
    found['weight_gradient_std'], (square - mean_product**2) ** 0.5
  )


@pytest.mark.slow
def test_finite_width_of_a_deep_relu_network():
  """He et al. with 50 layers of 64 units: x .965 a layer where E says 1.

  Of 200 seeds, the mean and the standard deviation of log std in the last
  hidden layer: v is right to order 1/n, where the exact step log(1 + 5/n) is
  3.7% less, so 1.9% of the deviation and 3.7% of the shift are allowed beside 5
  standard errors.
  """
  widths = (10, *[64] * 50, 4)
  batch = base.Batch(
    jax.random.normal(keys.root(1), (16, 10)), jnp.arange(16) % 4
  )
  scheme, relu = initializers.SCHEMES['he'], jax.nn.relu

  def run(seed):
    key = keys.at(keys.root(0), seed)
    params = mlp.init(key, widths, scheme.make())
    signals = mlp.signals(params, batch, relu, _COST.per_example)
    return probes.activation_std(params, relu, signals)

  seeds = jnp.arange(200, dtype=jnp.uint32)
  logs = np.log(np.asarray(jax.lax.map(run, seeds), float))[:, -2]
  laws = theory.layers(scheme, widths)
  carried = theory.pairs(laws, batch, relu, _COST)
  noise = theory.finite_width(laws, carried, relu, 0.0)[-2]
  infinite = theory.predict(laws, np.asarray(batch.x), relu, _COST)
  expected = np.log(infinite['activation_std'][-2]) - noise / 4
  spread = logs.std(ddof=1)
  assert abs(logs.mean() - expected) < (
    5 * spread / 200**0.5 + 0.037 * noise / 4
  )
  relative = 5 / (2 * 199) ** 0.5 + 0.019
  assert abs(spread / (noise**0.5 / 2) - 1) < relative
  assert logs.mean() < np.log(infinite['activation_std'][-2]) - 5 * (
    spread / 200**0.5
  )


def test_one_example_through_relu_layers_has_hanin_and_nicas_variance():
  """5 sum 1/n_l, and 2/n more of linear logits."""
  laws = theory.layers(initializers.SCHEMES['he'], (7, 20, 30, 3))
  batch = base.Batch(jnp.ones((1, 7)), jnp.zeros(1, jnp.int32))
  carried = theory.pairs(laws, batch, jax.nn.relu, _COST)
  noise = theory.finite_width(laws, carried, jax.nn.relu, 0.0)
  np.testing.assert_allclose(
    noise, np.cumsum([5 / 20, 5 / 30, 2 / 3]), rtol=1e-12
  )
  error = theory.width_error(laws, np.ones((1, 7)), jax.nn.relu)
  np.testing.assert_allclose(error, noise, rtol=1e-6)


@pytest.mark.parametrize(
  ('name', 'activation', 'bias'),
  [('he', 'tanh', 0.0), ('he', 'relu', 0.1), ('orthogonal', 'relu', 0.0)],
)
def test_finite_width_is_unknown(name, activation, bias):
  laws = theory.layers(initializers.SCHEMES[name], (7, 20, 3))
  batch = base.Batch(jnp.ones((2, 7)), jnp.zeros(2, jnp.int32))
  f = activations.ACTIVATIONS[activation]
  carried = theory.pairs(laws, batch, f, _COST, bias=bias)
  assert theory.finite_width(laws, carried, f, bias) is None


def test_a_deep_sigmoid_network_loses_examples_and_keeps_offsets():
  """The pooled deviation settles, that over examples falls by one factor."""
  laws = theory.layers(initializers.SCHEMES['glorot'], (20, *[100] * 30, 3))
  x = jax.random.normal(keys.root(3), (8, 20))
  batch = base.Batch(x, jnp.arange(8) % 3)
  carried = theory.pairs(laws, batch, jax.nn.sigmoid, _COST)
  found = theory.predict(laws, np.asarray(x), jax.nn.sigmoid, _COST)
  pooled = found['activation_std'][:-1]
  within = theory.predict_examples(carried, 0.0)['activation_within_std'][:-1]
  np.testing.assert_allclose(pooled[5:], pooled[-1], rtol=1e-6)
  # At the fixed point E f(s)^2 = q, near examples differ by q' E f'^2 a layer.
  slope = activations.moments(
    jax.nn.sigmoid, np.array(carried.pre[-2].square[0])
  )[2]
  np.testing.assert_allclose(
    within[10:] ** 2 / within[9:-1] ** 2, slope, rtol=1e-5
  )


def test_random_biases_are_the_same_for_all_examples():
  """They add Var[b] to every product, and nothing to a distance."""
  x = np.array([[1.0, 2.0, 0.5], [0.3, -1.0, 0.0]])
  laws = theory.layers(initializers.SCHEMES['torch'], (3, 4, 2))
  batch = base.Batch(x, np.array([0, 1]))
  carried = theory.pairs(laws, batch, activations.identity, _COST)
  first, second = (pre.products() for pre in carried.pre)
  # torch: n_in Var[w] = 1/3, Var[b] = 1 / (3 n_in).
  expected = x @ x.T / 3 / 3 + 1 / 9
  np.testing.assert_allclose(first, expected, rtol=1e-12)
  np.testing.assert_allclose(second, expected / 3 + 1 / 12, rtol=1e-12)


def test_examples_beyond_512_are_thinned_out():
  x = np.random.default_rng(0).normal(size=(1100, 30))
  laws = theory.layers(initializers.SCHEMES['glorot'], (30, 40, 3))
  batch = base.Batch(x, np.arange(1100) % 3)
  carried = theory.pairs(laws, batch, jnp.tanh, _COST)
  assert carried.pre[0].distance.shape == (367, 367)
  # Of independent examples each subset has the variance up to 1 / sqrt(367).
  first = laws[0].n_in * laws[0].weights.variance * x.var(0).mean()
  within = carried.share * carried.pre[0].within()
  assert abs(within / first - 1) < 5 * (2 / 367 / 30) ** 0.5


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


@pytest.mark.slow
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
  s = np.stack([random.permutation(quantiles) for _ in range(5)])
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


def test_fixed_and_sparse_weights_have_no_theory():
  for name in ('zeros', 'identity', 'zero', 'sparse'):
    laws = theory.layers(initializers.SCHEMES[name], (4, 4, 4))
    assert theory.predict(laws, np.ones((1, 4)), jnp.tanh, _COST) == {}


def test_selu_is_a_fixed_point():
  laws = theory.layers(initializers.SCHEMES['selu'], (10,) * 100)
  x = np.array([[1.0, -1.0] * 5])
  found = theory.predict(laws, x, jax.nn.selu, _COST)
  np.testing.assert_allclose(found['activation_std'], 1.0, rtol=1e-9)
