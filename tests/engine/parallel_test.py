"""The engine: a seed's result does not depend on its company."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import initializers, keys, mlp
from initlab.engine import lanes as lane_rules, parallel

pytestmark = pytest.mark.bits

_DRAW = initializers.he_normal()
_DATA = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


class _Result(NamedTuple):
  w: jax.Array
  out: jax.Array


def _run(config, key, data):
  del config
  params = mlp.init(keys.stream(key, 'init'), (4, 6, 2), _DRAW)
  return _Result(params[0].w, mlp.apply(params, data, jnp.tanh))


@functools.cache
def _engine(lanes, devices):
  return parallel.engine(
    _run, lanes=lanes, devices=jax.local_devices()[:devices]
  )


def _sweep(seeds, lanes=1, devices=1):
  engine = _engine(lanes, devices)
  chunks = list(
    parallel.results(
      engine, None, keys.root(0), np.array(seeds, np.uint32), _DATA
    )
  )
  found = np.concatenate([seeds for seeds, _ in chunks])
  return found, jax.tree.map(
    lambda *parts: np.concatenate(parts), *(result for _, result in chunks)
  )


_ALONE = jax.jit(lambda seed: _run(None, keys.at(keys.root(0), seed), _DATA))


@pytest.mark.parametrize(
  ('lanes', 'devices'),
  [
    (1, 1),
    (1, 2),
    pytest.param(4, 1, marks=pytest.mark.slow),
    (4, 2),
    pytest.param(32, 2, marks=pytest.mark.slow),
  ],
)
def test_a_seed_in_company_is_the_seed_alone(lanes, devices):
  """Bit for bit at initialization; behind a product, at one lane."""
  seeds = [5, 0, 17, 3, 2**32 - 1, 9, 8, 7, 6]
  found, result = _sweep(seeds, lanes, devices)
  np.testing.assert_array_equal(found, seeds)
  for place, seed in enumerate(seeds):
    alone = _ALONE(np.uint32(seed))
    np.testing.assert_array_equal(result.w[place], alone.w)
    # float32 sums of 6 products, in another order.
    np.testing.assert_allclose(result.out[place], alone.out, atol=6e-7 * 6)


def test_neighbours_do_not_matter_at_equal_lanes():
  _, many = _sweep(range(9), lanes=4, devices=2)
  _, one = _sweep([6], lanes=4, devices=2)
  chex.assert_trees_all_equal(jax.tree.map(lambda x: x[6:7], many), one)


def test_the_number_of_devices_does_not_matter():
  _, one = _sweep(range(9), lanes=1, devices=1)
  _, two = _sweep(range(9), lanes=1, devices=2)
  chex.assert_trees_all_equal(one, two)


def test_one_compilation_whatever_the_number_of_seeds():
  traced = []

  def counted(config, key, data):
    traced.append(1)
    return _run(config, key, data)

  engine = parallel.engine(counted, lanes=1, devices=jax.local_devices())
  for seeds in ([1], range(20), range(3)):
    seeds = np.array(seeds, np.uint32)
    list(parallel.results(engine, None, keys.root(0), seeds, _DATA))
  assert len(traced) == 1


def test_no_seeds_no_calls():
  engine = parallel.engine(None, lanes=1, devices=jax.local_devices())
  assert not list(
    parallel.results(engine, None, keys.root(0), np.zeros(0, np.uint32), _DATA)
  )


@pytest.mark.parametrize('backend', ['cpu', 'gpu', 'tpu'])
def test_auto_lanes_fall_with_size_and_are_powers_of_two(backend):
  found = [lane_rules.auto_lanes(backend, 10**k) for k in range(11)]
  assert found == sorted(found, reverse=True)
  assert all(lanes.bit_count() == 1 for lanes in found)
  assert found[0] > 1
  assert found[-1] == 1


def test_auto_lanes_of_the_measured_networks():
  """DESIGN: one lane from 64-100x5 on, hundreds for 2-3-2."""
  assert lane_rules.auto_lanes('cpu', 64 * 100 + 4 * 100**2 + 1000) == 1
  assert lane_rules.auto_lanes('cpu', 17) == 512
