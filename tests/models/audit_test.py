"""The audit of a model over seeds."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from initlab import base, initializers, keys, losses, mlp, probes
from initlab.models import audit as audits, places, transformer
from tests.helpers import architectures

_SEEDS = 24
_WIDTHS = (8, *(16,) * 18, 4)
_LOSS = losses.LOSSES['cross_entropy'].per_example


def _init(key):
  return mlp.init(key, _WIDTHS, initializers.glorot_uniform())


def _batch():
  return architectures.examples(6, 8), jnp.arange(6) % 4


def _model(params, x, y):
  """The sum of the examples' costs, so that dC/ds is each example's own."""
  return jnp.sum(jax.vmap(_LOSS)(mlp.apply(params, x, jnp.tanh), y))


@functools.cache
def _audit():
  return audits.audit(_init, _model, _batch(), seeds=_SEEDS)


@functools.cache
def _probed():
  """What the variance experiment measures of the same networks, `[S, L]`."""
  names = ('activation_mean', 'activation_std', 'gradient_std')
  names += ('gradient_norm', 'saturated', 'mean_loss')

  def one(seed):
    params = _init(keys.at(keys.root(0), seed))
    signals = mlp.signals(params, base.Batch(*_batch()), jnp.tanh, _LOSS)
    return {n: probes.PROBES[n](params, jnp.tanh, signals) for n in names}

  seeds = jnp.arange(_SEEDS, dtype=jnp.uint32)
  return jax.jit(lambda seeds: jax.lax.map(one, seeds))(seeds)


def _layers(found, measure):
  """A measure of the first, the looped and the last place, `[S, L]`."""
  columns = [each.measured[measure].reshape(_SEEDS, -1) for each in found]
  return np.concatenate(columns, axis=1)


@pytest.mark.slow
def test_the_lab_s_own_network_has_the_variance_experiment_s_numbers():
  """Through 19 layers a few roundings of 2^-24 each: below 1e-5."""
  found, probed = _audit(), _probed()
  hidden = np.s_[:, :-1]
  mean = _layers(found.activations, 'output_mean')
  square = _layers(found.activations, 'output_square')
  np.testing.assert_allclose(mean, probed['activation_mean'][hidden], atol=1e-6)
  np.testing.assert_allclose(
    np.sqrt(square - mean**2), probed['activation_std'][hidden], rtol=1e-5
  )
  down = _layers(found.sites, 'backward_square')
  down -= _layers(found.sites, 'backward_mean') ** 2
  np.testing.assert_allclose(np.sqrt(down), probed['gradient_std'], rtol=1e-5)
  sizes = [math.prod(pair) for pair in itertools.pairwise(_WIDTHS)]
  norms = _layers(found.sites, 'weight_gradient') * np.sqrt(sizes)
  np.testing.assert_allclose(norms / 6, probed['gradient_norm'], rtol=1e-5)
  np.testing.assert_allclose(
    _layers(found.activations, 'saturated'),
    probed['saturated'][hidden],
    atol=1e-6,
  )
  np.testing.assert_allclose(
    found.measured['loss'] / 6, probed['mean_loss'], rtol=1e-5
  )


def test_the_whole_has_an_even_guess_and_a_ratio_of_gradients():
  found = _audit()
  even = found.measured['even_loss']
  np.testing.assert_allclose(even, 6 * np.log(4), rtol=1e-6)
  first, *_, last = _layers(found.sites, 'weight_gradient').T
  np.testing.assert_allclose(found.measured['gradient_ratio'], first / last)
  assert np.all(np.isnan(found.measured['output_mean']))  # it is the loss


def test_squares_are_predicted_without_bias():
  """Given the inputs, E s^2 of random weights is predicted exactly.

  The mean over seeds of measured over predicted, less 1, within 4 standard
  errors: 16 layers and the last, one false alarm in 1,000 runs.
  """
  found = _audit()
  measured = _layers(found.sites, 'forward_square')
  excess = measured / _layers(found.sites, 'predicted_square') - 1
  error = excess.std(axis=0, ddof=1) / np.sqrt(_SEEDS)
  assert np.all(np.abs(excess.mean(axis=0)) < 4 * error)


def test_activations_are_predicted_by_quadrature():
  """Against SciPy's at the same moments; tanh in float32 rounds by 1e-7."""
  (first, _) = _audit().activations
  mean = first.measured['input_mean'][0]
  variance = first.measured['input_square'][0] - mean**2

  def density(t):
    power = -((t - mean) ** 2) / (2 * variance)
    return np.exp(power) / np.sqrt(2 * np.pi * variance)

  for measure, power in (('predicted_mean', 1), ('predicted_square', 2)):
    expected, _ = integrate.quad(
      lambda t, power=power: np.tanh(t) ** power * density(t), -9, 9
    )
    assert first.measured[measure][0] == pytest.approx(expected, abs=1e-6)


def test_chi_is_the_growth_of_a_small_relative_error():
  (first, _) = _audit().activations
  found = {name: values[0] for name, values in first.measured.items()}
  x, _ = _batch()
  s = np.asarray(x @ _init(keys.at(keys.root(0), 0))[0].w, float)
  nudge = 1e-6 * np.random.default_rng(0).choice([-1.0, 1.0], s.shape)
  moved = np.mean((np.tanh(s + nudge) - np.tanh(s)) ** 2)
  growth = moved / np.mean(np.tanh(s) ** 2) / (1e-12 / np.mean(s**2))
  assert found['chi'] == pytest.approx(growth, rel=1e-4)
  layers = found['tenfold_depth']
  assert found['chi'] ** (layers / 2) == pytest.approx(10, rel=1e-9)


def test_leaves_have_families():
  found = {leaf.name: leaf for leaf in _audit().leaves}
  assert found['3/w'].family == 'uniform' and found['3/w'].role == 'weight'
  assert found['3/b'].family == 'constant' and found['3/b'].role == 'bias'
  limit = math.sqrt(6 / 32)  # of Glorot's uniform draw from 16 to 16 units
  assert np.all(found['3/w'].measured['largest'] <= limit)


@pytest.mark.parametrize(
  ('draw', 'family'),
  [
    (lambda rng, n: rng.uniform(-3, 3, n), 'uniform'),
    (lambda rng, n: rng.normal(2, 5, n), 'normal'),
    (lambda rng, n: rng.choice([-1.0, 1.0], n), 'independent'),
    (lambda rng, n: np.zeros(n), 'constant'),
    (lambda rng, n: np.broadcast_to(np.arange(n[1]), n), 'fixed'),
  ],
)
def test_families_are_told_apart(draw, family):
  from initlab.models import results

  sample = draw(np.random.default_rng(0), (16, 256))
  assert results.family_of(sample, sample.var(axis=1)) == family


def test_the_frame_is_tidy():
  frame = _audit().to_frame()
  columns = ['kind', 'name', 'measure', 'seed', 'iteration', 'value']
  assert list(frame.columns) == columns
  looped = frame[
    (frame.name == '1/w...17/w') & (frame.measure == 'weight_mean')
  ]
  assert len(looped) == 17 * _SEEDS and looped.seed.nunique() == _SEEDS
  row = looped[(looped.seed == 3) & (looped.iteration == 5)]
  (site,) = (s for s in _audit().sites if s.name == '1/w...17/w')
  assert row.value.item() == site.measured['weight_mean'][3, 5]
  for kind, measures in places.MEASURES.items():
    assert set(frame[frame.kind == kind].measure) <= set(measures)


@pytest.mark.slow
def test_a_seed_is_the_same_in_any_company():
  one = audits.audit(_init, _model, _batch(), seeds=2, lanes=2)
  for mine, many in zip(one.sites, _audit().sites, strict=True):
    for measure, values in mine.measured.items():
      np.testing.assert_allclose(
        values, many.measured[measure][:2], rtol=1e-5, atol=1e-6
      )


_X = np.ones((2, 8), np.float32)
_DRAW = architectures.draw(w=(8, 4))
_APPLY = lambda params, x: x @ params['w']
_FIXED = np.ones((8, 8), np.float32)


@pytest.mark.parametrize(
  ('init', 'model', 'batch', 'message'),
  [
    (
      lambda: {},
      _APPLY,
      _X,
      'init is not a function of the key that JAX can trace: TypeError',
    ),
    (
      lambda key: transformer.Config(5, 4, width=32, heads=3),
      _APPLY,
      _X,
      '^a width of 32 is no multiple of 3 heads',
    ),
    (
      lambda key: {'w': jnp.zeros(int(jax.random.randint(key, (), 1, 9)))},
      _APPLY,
      _X,
      'init is not a function of the key that JAX can trace: Concret',
    ),
    (
      lambda key: {'w': jnp.ones((8, 4))},
      _APPLY,
      _X,
      'init draws the same params whatever its key is',
    ),
    (
      _DRAW,
      _APPLY,
      np.ones((2, 7), np.float32),
      'the model does not take these params and this batch: TypeError',
    ),
    (
      _DRAW,
      lambda params, x: (x @ np.tile(_FIXED, 2)) @ np.ones((16, 2)),
      _X,
      '2 matrix products use arrays that are not in params',
    ),
    (
      _DRAW,
      lambda params, x: x + params['w'][0, 0],
      _X,
      'the model has no site: no weight of its params meets the batch',
    ),
    (
      _DRAW,
      lambda params, x: jax.lax.while_loop(
        lambda x: jnp.sum(x) > 0, lambda x: x - x @ params['w'][:, :1], x
      ),
      _X,
      'no weight meets the batch where an audit can look: 1 in while',
    ),
    (
      _DRAW,
      lambda params, x: jnp.argmax(x @ params['w']),
      _X,
      'the model returns no floating-point array',
    ),
    (
      _DRAW,
      _APPLY,
      np.where(np.eye(2, 8) > 0, np.nan, 1.0).astype('f4'),
      r'batch\[0\] has 2 entries that are not finite',
    ),
  ],
)
def test_what_cannot_be_audited_is_refused_in_a_sentence(
  init, model, batch, message
):
  with pytest.raises(base.UserError, match=message) as refused:
    audits.audit(init, model, batch)
  assert '\n' not in str(refused.value)


@pytest.mark.parametrize('setting', [{'seeds': 0}, {'seeds': []}, {'lanes': 0}])
def test_at_least_one_seed_and_lane(setting):
  with pytest.raises(base.UserError, match='at least'):
    audits.audit(_DRAW, _APPLY, _X, **setting)


@pytest.mark.parametrize('seeds', [[-1], [2**32]])
def test_a_seed_has_32_bits(seeds):
  with pytest.raises(base.UserError, match='outside 32 bits'):
    audits.audit(_DRAW, _APPLY, _X, seeds=seeds)


def test_seeds_are_how_many_or_which():
  init = lambda key: {'w': jax.random.normal(key, (8, 4))}
  first, chosen = (
    audits.audit(init, _APPLY, _X, seeds=seeds).to_frame()
    for seeds in (3, [2**32 - 1, 2])
  )
  assert set(first.seed) == {0, 1, 2}
  assert set(chosen.seed) == {2, 2**32 - 1}
  leaf = lambda rows, seed: rows[
    (rows.kind == 'leaf') & (rows.seed == seed)
  ].value.tolist()
  assert leaf(chosen, 2) == leaf(first, 2)
  assert leaf(chosen, 2**32 - 1) != leaf(first, 2)


def test_a_scaling_by_a_leaf_is_no_activation_and_a_kink_at_one_is():
  """alpha t is linear whatever alpha; max(t, alpha t) is not."""

  def kinds(function):
    init = lambda key: {
      'w': jax.random.normal(key, (6, 6)),
      'alpha': jnp.float32(0.5),
    }
    model = lambda params, x: (
      function(x @ params['w'], params['alpha']) @ (params['w'])
    )
    return audits.audit(init, model, jnp.eye(6), seeds=1).activations

  assert not kinds(lambda t, alpha: alpha * t)
  assert len(kinds(lambda t, alpha: jnp.maximum(t, alpha * t))) == 1
