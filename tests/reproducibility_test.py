"""The seed contract: root seed, seed and shape decide initial parameters."""

import chex
import jax
import numpy as np
import pytest

from initlab import initializers, keys, mlp, sweeps

# One of each way to draw; the tests of initializers go through all names.
_NAMES = ('truncated_normal', 'orthogonal', 'torch')
_WIDTHS = (12, 12, 12, 5)


def _run(key, data):
  del data
  init_key = keys.stream(key, 'init')
  return {
    name: mlp.init(
      init_key, _WIDTHS, scheme.make(), scheme.bias and scheme.bias()
    )
    for name, scheme in initializers.SCHEMES.items()
    if name in _NAMES
  }


@pytest.fixture(scope='module')
def alone():
  """Seed -> its parameters, drawn eagerly, by themselves."""
  return {seed: _run(keys.at(keys.root(5), seed), None) for seed in (3, 17)}


@pytest.mark.parametrize(('lanes', 'devices'), [(1, 2), (4, 2)])
def test_initial_parameters_are_bit_equal_in_any_sweep(alone, lanes, devices):
  """Alone and eager, or in company, vmapped, compiled, on two devices."""
  engine = sweeps.engine(
    _run, lanes=lanes, devices=jax.local_devices()[:devices]
  )
  seeds = np.array([0, 1, 2, 3, 17, 40, 41, 2**32 - 1, 5], np.uint32)
  swept = {}
  for chunk, result in sweeps.results(engine, keys.root(5), seeds, None):
    for place, seed in enumerate(chunk.tolist()):
      swept[seed] = jax.tree.map(lambda x, i=place: x[i], result)
  for seed, params in alone.items():
    chex.assert_trees_all_equal(swept[seed], params)


def test_schemes_share_their_draws():
  """Comparisons are paired: of one seed, LeCun and He differ by a factor."""
  key = keys.stream(keys.at(keys.root(0), 4), 'init')
  lecun, he = (
    mlp.init(key, _WIDTHS, initializers.SCHEMES[name].make())
    for name in ('lecun_normal', 'he_normal')
  )
  for one, other in zip(lecun, he, strict=True):
    chex.assert_trees_all_close(one.w * 2**0.5, other.w, rtol=1e-6)


def test_another_root_seed_is_another_study():
  one, other = (
    jax.random.key_data(keys.at(keys.root(root), 3)) for root in (0, 1)
  )
  assert (one != other).any()
