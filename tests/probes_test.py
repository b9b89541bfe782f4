"""Every probe against its definition, computed once more in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import activations, base, initializers, keys, losses, mlp, probes

_WIDTHS = (20, 40, 30, 50, 5)


@functools.partial(jax.jit, static_argnums=0)
def _signals(activation, params):
  x = jax.random.normal(keys.root(3), (40, _WIDTHS[0]))
  batch = base.Batch(x, jnp.arange(40, dtype=jnp.int32) % _WIDTHS[-1])
  return mlp.signals(params, batch, activation, losses.cross_entropy)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _probe(name, activation, params, signals):
  return probes.PROBES[name](params, activation, signals)


@functools.cache
def _drawn():
  init = functools.partial(mlp.init, keys.root(0), _WIDTHS, shift=0.2)
  return jax.jit(lambda: init(initializers.he_normal()))()


def _network(activation=jnp.tanh, params=None):
  params = _drawn() if params is None else params
  return params, activation, _signals(activation, params)


@functools.cache
def _usual():
  return _network()


def _measured(name, network=None):
  params, activation, signals = network or _usual()
  return np.asarray(_probe(name, activation, params, signals), float)


@jax.jit
def _mean_singular_value(w, slopes):
  return probes._mean_root(*probes._lanczos(w, slopes))


def _double(arrays):
  return [np.asarray(a, float) for a in arrays]


@pytest.mark.parametrize('name', probes.PROBES)
def test_shape_and_finiteness(name):
  measured = _measured(name)
  assert measured.shape in [(), (4,), (4, 400)]
  assert np.isfinite(measured).all()


def test_means_and_deviations():
  """float32 sums over 2,000 values err by less than 1e-6 of the deviation."""
  _, _, signals = _usual()
  post, gradient = _double(signals.post), _double(signals.gradient)
  expected = {
    'activation_mean': [z.mean() for z in post],
    'activation_std': [z.std() for z in post],
    'gradient_std': [g.std() for g in gradient],
  }
  for name, value in expected.items():
    np.testing.assert_allclose(_measured(name), value, rtol=2e-6, atol=2e-6)


def test_deviations_within_units_and_cosines():
  _, _, signals = _usual()
  for name, layers in (
    ('activation_within_std', signals.post),
    ('gradient_within_std', signals.gradient),
  ):
    expected = [x.var(axis=0).mean() ** 0.5 for x in _double(layers)]
    np.testing.assert_allclose(_measured(name), expected, rtol=1e-5)
  expected = []
  for s in _double(signals.pre):
    unit = s / np.linalg.norm(s, axis=1, keepdims=True)
    pairs = ~np.eye(len(s), dtype=bool)
    expected.append((unit @ unit.T)[pairs].mean())
  # A float32 sum of 40 unit vectors: 1600 2^-24 over 40 * 39 pairs.
  np.testing.assert_allclose(_measured('example_cosine'), expected, atol=1e-6)


def test_offsets_are_no_deviation_within_units():
  """Exactly none where all examples agree, and 1e-6 beside an offset of 1."""
  offsets = jax.random.normal(keys.root(0), (1, 30))
  alike = jnp.broadcast_to(offsets, (7, 30))
  assert float(probes._within_std(alike)) == 0
  # 1 + 2^-20 k is a float32 number.
  steps = 2.0**-20 * jnp.arange(7.0)
  expected = np.std(2.0**-20 * np.arange(7.0))
  np.testing.assert_allclose(
    float(probes._within_std(1 + steps[:, None] * jnp.ones((1, 30)))),
    expected,
    rtol=1e-6,
  )


def test_weight_gradients():
  _, _, signals = _usual()
  inputs = _double([signals.x, *signals.post[:-1]])
  gradients = _double(signals.gradient)
  single = [
    np.einsum('bj,bk->bjk', z, g)
    for z, g in zip(inputs, gradients, strict=True)
  ]
  deviations = [each.std() for each in single]
  np.testing.assert_allclose(
    _measured('weight_gradient_std'), deviations, rtol=1e-5
  )
  norms = [np.linalg.norm(each.mean(0)) for each in single]
  np.testing.assert_allclose(_measured('gradient_norm'), norms, rtol=1e-5)
  ratio = norms[0] / norms[-1]
  np.testing.assert_allclose(_measured('gradient_norm_ratio'), ratio, rtol=2e-5)
  for sample, each in zip(
    _measured('weight_gradient_sample'), single, strict=True
  ):
    flat = np.sort(each.ravel())
    at = np.clip(np.searchsorted(flat, sample), 1, len(flat) - 1)
    near = np.minimum(abs(flat[at] - sample), abs(flat[at - 1] - sample))
    assert near.max() < 1e-5


def test_percentile_of_the_size_of_activations():
  """24 halvings leave 2^-24 of the largest; float32 rounds likewise."""
  _, _, signals = _usual()
  sizes = [np.sort(abs(z).ravel()) for z in _double(signals.post)]
  expected = [size[int(np.ceil(0.98 * size.size)) - 1] for size in sizes]
  largest = np.array([size[-1] for size in sizes])
  errors = _measured('activation_percentile') - expected
  assert (abs(errors) <= 2**-22 * largest).all()


def test_mean_loss():
  _, _, signals = _usual()
  np.testing.assert_allclose(
    _measured('mean_loss'), np.mean(_double(signals.loss)), rtol=1e-6
  )


def test_singular_values_of_small_layers():
  """Exact but for the start vectors, whose error the control variate damps.

  One sign vector errs by about sqrt(2 / side) of the part of the spectrum that
  the control leaves, a fifth: with 8 of them 2% of the mean at side 20. Five
  times that is allowed here; the next test bounds the bias.
  """
  params, activation, signals = _usual()
  rows = probes.jacobian_examples(40)
  expected = []
  for index, ((w, _), s) in enumerate(zip(params, signals.pre, strict=True)):
    slopes = activations.evaluate(activation, np.asarray(s[rows]))[1]
    slopes = slopes if index < 3 else np.ones_like(slopes)
    jacobians = slopes[:, :, None] * np.asarray(w, float).T
    expected.append(np.linalg.svd(jacobians, compute_uv=False).mean())
  np.testing.assert_allclose(
    _measured('mean_singular_value'), expected, rtol=0.1
  )


@pytest.mark.slow
def test_singular_values_do_not_depend_on_the_start_vectors_on_average():
  """Over 300 matrices the error is within 4 standard errors of zero.

  A control variate whose slope comes from the start vector that it corrects
  would be 2% too high, 15 of them. Without one, a vector of signs over the root
  of n estimates tr S / n, S^2 = J^T J, with the variance 2/n^2 times the sum of
  S_ij^2 over i != j; the slope explains 90% of it, so that half of the
  deviation of 8 vectors is far above what is left, and far below all.
  """
  draws = jax.vmap(
    lambda seed: initializers.lecun_normal()(
      keys.at(keys.root(5), seed), (8, 12)
    )
  )(jnp.arange(300, dtype=jnp.uint32))
  slopes = jax.random.uniform(keys.root(6), (8, 12), minval=0.3)
  estimate = jax.jit(
    lambda w: jax.lax.map(lambda each: _mean_singular_value(each, slopes), w)
  )(draws)
  turned = np.asarray(draws, float)[:, None] * np.asarray(slopes)[:, None]
  u, values, _ = np.linalg.svd(turned, full_matrices=False)
  exact = values.mean((1, 2))
  error = np.asarray(estimate, float) / exact - 1
  assert abs(error.mean()) < 4 * error.std() / len(error) ** 0.5
  root = np.einsum('seij,sej,sekj->seik', u, values, u)
  off = root * (1 - np.eye(8))
  hutchinson = 2 / 8**2 * (off**2).sum((2, 3)).mean(1) / 8
  assert error.std() < 0.5 * np.sqrt(np.mean(hutchinson / exact**2))


def test_singular_values_are_as_exact_as_their_quadrature():
  """Of diag(1, ..., n) / n, where the start vectors make no error at all.

  Signs weigh all entries of a diagonal matrix alike. Its singular values x are
  uniform on (0, 1], mirrored on [-1, 1]: 24 Lanczos steps for x^2 are the rule
  of Gauss and Legendre of 48 nodes for |x|, but for 1/n. That is 3.4e-4 too
  high, and the rule of 8 steps 3.0e-3.
  """
  nodes, weights = np.polynomial.legendre.leggauss(2 * 24)
  bound = weights @ abs(nodes) - 1
  x = np.arange(1, 301) / 300
  w = jnp.diag(jnp.asarray(x, jnp.float32))
  measured = float(_mean_singular_value(w, jnp.ones((8, 300))))
  assert abs(measured / x.mean() - 1) < bound < 3.5e-4


@pytest.mark.slow
@pytest.mark.parametrize('shape', [(30, 30), (60, 20), (20, 60), (9, 1)])
def test_singular_values_of_isometries_are_the_gain(shape):
  """A flat spectrum, on which Lanczos breaks down at the first step."""
  w = initializers.orthogonal(gain=1.7)(keys.root(0), shape)
  ones = jnp.ones((8, shape[1]))
  measured = float(_mean_singular_value(w, ones))
  np.testing.assert_allclose(measured, 1.7, rtol=1e-3)


def test_zero_weights_measure_as_zero():
  measured = _network(params=jax.tree.map(jnp.zeros_like, _drawn()))
  for name in ('gradient_std', 'mean_singular_value', 'gradient_norm'):
    values = _measured(name, measured)
    assert np.isfinite(values).all()
    assert values[0] == 0


def test_saturated_and_dead():
  network = _network(jax.nn.relu)
  _, _, signals = network
  off = [s <= 0 for s in _double(signals.pre[:-1])]
  np.testing.assert_allclose(
    _measured('saturated', network), [*(o.mean() for o in off), 0], rtol=1e-6
  )
  np.testing.assert_allclose(
    _measured('dead', network),
    [*(o.all(0).mean() for o in off), 0],
    rtol=1e-6,
  )
  params = [base.Layer(w, b - 100) for w, b in _drawn()]
  drowned = _measured('dead', _network(jax.nn.relu, tuple(params)))
  np.testing.assert_array_equal(drowned, [1, 1, 1, 0])


def test_a_falling_slope_does_not_saturate():
  """|cos| < 0.1, of a sine whose slope is as often below zero as above."""
  network = _network(jnp.sin)
  low = [(abs(np.cos(s)) < 0.1).mean() for s in _double(network[2].pre[:-1])]
  # An edge may fall between float32 and double precision: one of 1200 values.
  np.testing.assert_allclose(
    _measured('saturated', network), [*low, 0], atol=1.5 / 1200
  )
  assert max(low) < 0.2


def test_the_jacobian_is_taken_at_examples_of_the_whole_batch():
  rows = np.arange(40)[probes.jacobian_examples(40)]
  np.testing.assert_array_equal(rows, [0, 5, 10, 15, 20, 25, 30, 35])
  np.testing.assert_array_equal(
    np.arange(5)[probes.jacobian_examples(5)], range(5)
  )


def test_a_signal_of_1e_minus_30_is_still_measured():
  """Its square, 1e-60, is below float32."""
  x = jax.random.normal(keys.root(0), (50, 20))
  for scale in (1e-30, 1e30):
    np.testing.assert_allclose(
      float(probes._std(x * scale)), float(jnp.std(x)) * scale, rtol=1e-5
    )


def test_samples_are_values_spread_over_their_layer():
  _, _, signals = _usual()
  for name, layers in (
    ('activation_sample', signals.post),
    ('gradient_sample', signals.gradient),
  ):
    for sample, layer in zip(_measured(name), _double(layers), strict=True):
      # Evenly spread, from the first entry to the last 1/400.
      at = np.arange(400) * layer.size // 400
      np.testing.assert_array_equal(sample, layer.ravel()[at])
