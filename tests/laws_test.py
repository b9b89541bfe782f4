"""Estimated laws against declared ones, and what the verdict says of them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, keys, laws, losses, schemes, theory
from initlab.instruments import propagation


def _laplace(key, shape, dtype=jnp.float32):
  return jax.random.laplace(key, shape, dtype) / (2 * shape[0]) ** 0.5


def _unit_columns(key, shape, dtype=jnp.float32):
  w = jax.random.normal(key, shape, dtype)
  return w / jnp.linalg.norm(w, axis=0, keepdims=True)


def _dropped(key, shape, dtype=jnp.float32):
  kept = jax.random.bernoulli(keys.stream(key, 'kept'), 0.5, shape)
  w = jax.random.normal(keys.stream(key, 'w'), shape, dtype)
  return jnp.where(kept, w, 0)


def _signs(key, shape, dtype=jnp.float32):
  return jax.random.rademacher(key, shape, dtype) / shape[0] ** 0.5


@pytest.mark.parametrize('name', ['glorot', 'he', 'flax'])
def test_a_declared_law_is_found(name):
  scheme = initializers.SCHEMES[name]
  declared, found = scheme.law(64, 32), laws.estimate(scheme.make(), 64, 32)
  assert found.family == declared.family
  # Four standard errors, of which the half-width is 1.96.
  half = (found.evidence.high - found.evidence.low) / 2
  assert abs(found.variance - declared.variance) < half * 4 / 1.96
  assert half < 1.96 * 0.0051 * found.variance


@pytest.mark.slow
@pytest.mark.parametrize('draw', [_laplace, _dropped, _signs])
def test_other_independent_entries_are_independent(draw):
  assert laws.estimate(draw, 64, 32).family == 'independent'


@pytest.mark.slow
@pytest.mark.parametrize(
  ('draw', 'failed'),
  [
    (initializers.orthogonal(), 'independence'),
    (initializers.sparse(), 'independence'),
    (_unit_columns, 'independence'),
    (lambda key, shape, dtype: 1 + _laplace(key, shape, dtype), 'mean'),
    (lambda key, shape, dtype: _laplace(key, shape, dtype) / 0, 'not finite'),
  ],
)
def test_what_theory_does_not_cover_is_unknown_and_says_why(draw, failed):
  law = laws.estimate(draw, 64, 32)
  assert law.family == 'unknown'
  assert failed in law.evidence.failed
  missing = theory.missing([theory.WeightLaw(64, 32, law, 0.0)])
  assert failed in missing and '64 x 32' in missing


def test_a_draw_without_a_key_is_fixed():
  law = laws.estimate(initializers.identity(), 64, 32)
  assert law.family == 'fixed'
  assert law.variance == law.evidence.low == law.evidence.high == 1 / 64


@pytest.mark.slow
def test_theory_of_an_estimated_law_is_that_of_its_variance():
  """Mean field knows the variance only, so it says the same of any family."""
  found = theory.layers(schemes.resolve(_laplace), (30, 20, 3))
  assert {law.weights.family for law in found} == {'independent'}
  normal = [
    law._replace(weights=base.Law('normal', law.weights.variance))
    for law in found
  ]
  x = np.random.default_rng(0).normal(size=(5, 30))
  loss = losses.LOSSES['cross_entropy']
  predict = lambda laws: theory.predict(laws, x, jnp.tanh, loss)
  chex.assert_trees_all_equal(predict(found), predict(normal))
  assert np.isfinite(predict(found)['mean_singular_value']).all()


def test_the_verdict_says_that_a_law_is_estimated():
  scheme = schemes.resolve(_laplace)
  (line,) = propagation.estimated(theory.layers(scheme, (64, 64, 64)))
  assert line.startswith('law of 64 x 64 weights estimated from ')
  assert 'draws: independent, n_in Var[w] = ' in line
  low, high = map(float, line.rpartition('[')[2].rstrip(']').split(', '))
  assert low < 1.0 < high and high - low < 0.05
  declared = theory.layers(initializers.SCHEMES['he'], (64, 64))
  assert propagation.estimated(declared) == []
