"""The tree of keys: golden values, and independence of company."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, keys

_GOLDEN_ROOT = [0, 7]
_GOLDEN_SEED = [276534068, 1641862660]
_GOLDEN_INIT = [1234633631, 3483677370]
_GOLDEN_LAYER = [2865292859, 2155343405]
_GOLDEN_WEIGHTS = [3210104672, 659732126]
_GOLDEN_DATA = [2179629071, 3203280868]
_GOLDEN_NORMAL = [1.622642159461975, 2.0252647399902344, -0.4335944354534149]


def _data(key):
  return np.asarray(jax.random.key_data(key))


def test_golden_keys():
  """A change of these numbers changes every result the lab ever gave."""
  root = keys.root(7)
  seed = keys.at(root, 3)
  init = keys.stream(seed, 'init')
  golden = {
    'root': (root, _GOLDEN_ROOT),
    'seed': (seed, _GOLDEN_SEED),
    'init': (init, _GOLDEN_INIT),
    'layer': (keys.at(init, 1), _GOLDEN_LAYER),
    'weights': (keys.stream(keys.at(init, 1), 'w'), _GOLDEN_WEIGHTS),
    'data': (keys.stream(seed, 'data'), _GOLDEN_DATA),
  }
  for name, (key, value) in golden.items():
    np.testing.assert_array_equal(_data(key), value, name)


def test_golden_draws():
  """Raw draws are the same bits in every supported version of JAX."""
  drawn = jax.random.normal(keys.root(0), (3,))
  chex.assert_trees_all_equal(drawn, jnp.asarray(_GOLDEN_NORMAL, jnp.float32))


def test_seed_alone_is_seed_in_company():
  root = keys.root(0)
  seeds = jnp.arange(100, dtype=jnp.uint32)
  together = _data(jax.vmap(lambda seed: keys.at(root, seed))(seeds))
  compiled = jax.jit(lambda seed: keys.at(root, seed))
  for seed in (0, 3, 99):
    np.testing.assert_array_equal(together[seed], _data(keys.at(root, seed)))
    np.testing.assert_array_equal(
      together[seed], _data(compiled(jnp.uint32(seed)))
    )


def test_all_keys_of_a_study_differ():
  root = keys.root(0)
  found = {
    tuple(_data(keys.at(keys.stream(keys.at(root, seed), name), index)))
    for seed in range(5)
    for name in ('init', 'data')
    for index in range(10)
  }
  assert len(found) == 5 * 2 * 10


def test_no_two_layers_or_steps_share_a_key():
  """Up to the 1000 layers of `--depth`, and at 4096 steps.

  Of 64 random bits, two of 5096 keys agree with a probability of 1e-12.
  """
  node = keys.stream(keys.root(0), 'init')
  for count in (1000, 4096):
    indices = jnp.arange(count, dtype=jnp.uint32)
    found = _data(jax.vmap(lambda index: keys.at(node, index))(indices))
    assert len(np.unique(found, axis=0)) == count


def test_every_bit_of_a_seed_counts():
  """0, the largest seed, and those that differ from either in one bit."""
  bits = [2**bit for bit in range(32)]
  seeds = [0, *bits, *(2**32 - 1 - bit for bit in bits), 2**32 - 1]
  for use in keys.root, lambda seed: keys.at(keys.root(0), seed):
    found = {tuple(_data(use(seed)).tolist()) for seed in seeds}
    assert len(found) == len(seeds) == 66


@pytest.mark.parametrize('seed', [-1, 2**32, 2**33, 1.5, 'one', None])
@pytest.mark.parametrize(
  'use', [keys.root, lambda seed: keys.at(keys.root(0), seed)]
)
def test_refuses_what_is_no_32_bit_seed(use, seed):
  with pytest.raises(base.UserError, match=r'32 bits|not an integer'):
    use(seed)


def test_root_pins_the_generator():
  with jax.default_prng_impl('rbg'):
    assert str(jax.random.key_impl(keys.root(0))) == 'threefry2x32'
