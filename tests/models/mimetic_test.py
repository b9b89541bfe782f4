"""Mimetic attention: the products of the kernels, per head and layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, keys
from initlab.models import leaves, mimetic, transformer, uses

_RNG = np.random.default_rng(0)
_TOKENS = jnp.zeros((2, 3), jnp.int32)
_WIDTH, _HEADS, _BLOCKS = 32, 4, 2


@functools.cache
def _transformer():
  config = transformer.Config(7, 3, width=_WIDTH, heads=_HEADS, blocks=_BLOCKS)
  draw = lambda leaf: jnp.float32(_RNG.standard_normal(leaf.shape))
  params = jax.tree.map(
    draw,
    transformer.declared(config),
    is_leaf=lambda node: isinstance(node, leaves.Leaf),
  )
  return uses.trace(transformer.apply, params, _TOKENS), params


def _query_key(**options):
  model, params = _transformer()
  new = mimetic.query_key(
    model.uses, params, keys.root(0), '*/query', '*/key', **options
  )
  assert new.drawn == ('blocks/attention/key', 'blocks/attention/query')
  attention = new.params['blocks']['attention']
  # [layers, n, heads, head_dim] -> [layers, heads, n, head_dim]
  return [np.moveaxis(attention[name], 2, 1) for name in ('query', 'key')]


def test_without_noise_a_head_is_a_projection_times_beta():
  query, key = _query_key(alpha=0.0, beta=0.7)
  product = query @ key.mT / 0.7
  # Roundings of a decomposition of size 32 and of a product of 8 terms.
  np.testing.assert_allclose(product @ product, product, atol=1e-5)
  rank = _WIDTH // _HEADS
  np.testing.assert_allclose(
    np.trace(product, axis1=2, axis2=3), rank, rtol=1e-5
  )


def test_a_head_keeps_the_largest_singular_values_and_splits_them_evenly():
  query, key = _query_key(alpha=0.7, beta=0.7)
  for each in (query, key):
    gram = each.mT @ each
    size = np.diagonal(gram, axis1=2, axis2=3)
    # Orthogonal columns, the longest first.
    np.testing.assert_allclose(gram, size[..., None] * np.eye(8), atol=1e-5)
    assert (np.diff(size) <= 0).all()
  np.testing.assert_allclose(np.sum(query**2, 2), np.sum(key**2, 2), rtol=1e-4)
  # |A|_F^2 / n is 0.7^2 + 0.7^2 on average, with a standard error of
  # 0.7^2 (2 + 4)^(1/2) / 32 = 4%; the largest quarter has more than its share.
  largest = np.sum(query**2, 2)
  assert (np.mean(largest**2, -1) > 0.98).all()
  assert not np.allclose(query[0, 0], query[0, 1])
  assert not np.allclose(query[0, 0], query[1, 0])


def test_one_head_of_all_outputs_is_the_noise_and_the_identity():
  params = {name: jnp.ones((64, 64)) for name in ('query', 'key')}
  apply = lambda p, x: (x @ p['query']) @ (x @ p['key']).T
  model = uses.trace(apply, params, jnp.ones((3, 64)))
  new = mimetic.query_key(
    model.uses,
    params,
    keys.root(1),
    'query',
    'key',
    heads=1,
    alpha=0.3,
    beta=0.5,
  ).params
  noise = (np.asarray(new['query'] @ new['key'].T) - 0.5 * np.eye(64)) * 8 / 0.3
  # 4096 standard normal entries: five standard errors of mean and variance.
  assert abs(noise.mean()) < 5 / 64
  assert abs(noise.var() - 1) < 5 * (2 / 4096) ** 0.5


def test_heads_have_to_be_known():
  params = {name: jnp.ones((8, 12)) for name in ('query', 'key')}
  apply = lambda p, x: (x @ p['query']) @ (x @ p['key']).T
  model = uses.trace(apply, params, jnp.ones((3, 8)))
  for heads, message in (
    (None, 'how many heads'),
    (5, 'heads=5'),
    (1, 'more than its 8 inputs'),
  ):
    with pytest.raises(base.UserError, match=message):
      mimetic.query_key(
        model.uses, params, keys.root(0), 'query', 'key', heads=heads
      )


def test_values_and_outputs_are_noise_around_minus_the_identity():
  model, params = _transformer()
  new = mimetic.value_output(
    model.uses, params, keys.root(0), '*/value', '*/out', alpha=0.3, beta=0.5
  )
  attention = new.params['blocks']['attention']
  value = np.asarray(attention['value'].reshape(2, 32, 32))
  out = np.asarray(attention['out'].reshape(2, 32, 32))
  noise = (value @ out + 0.5 * np.eye(32)) * 32**0.5 / 0.3
  # 2048 standard normal entries: five standard errors of mean and variance.
  assert abs(noise.mean()) < 5 / 2048**0.5
  assert abs(noise.var() - 1) < 5 * (2 / 2048) ** 0.5
  # Both have the square roots of the product's singular values.
  np.testing.assert_allclose(
    np.linalg.svd(value, compute_uv=False),
    np.linalg.svd(out, compute_uv=False),
    rtol=1e-4,
  )
  query = attention['query']
  np.testing.assert_array_equal(query, params['blocks']['attention']['query'])


def test_values_and_outputs_are_square():
  model, params = _transformer()
  with pytest.raises(base.UserError, match='one shape'):
    mimetic.value_output(model.uses, params, keys.root(0), '*/up', '*/down')
  with pytest.raises(base.UserError, match='square'):
    mimetic.value_output(model.uses, params, keys.root(0), '*/up', '*/up')
