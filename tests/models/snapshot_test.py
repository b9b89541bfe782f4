"""A snapshot has the numbers of the audit, inside of a compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import keys
from initlab.models import audit, snapshot


def _init(key):
  return {
    name: jax.random.normal(keys.stream(key, name), (4, 4)) for name in 'ab'
  }


def _block(params, x):
  """Without an activation, whose function would have to be recognized."""
  return x + (x @ params['a']) @ params['b']


_X = (np.random.default_rng(0).normal(size=(3, 4)) + 1).astype(np.float32)


@pytest.fixture(scope='module')
def audited():
  """Of two seeds."""
  return audit.audit(_init, _block, (_X,), seeds=2)


def test_a_snapshot_is_a_seed_of_the_audit(audited):
  @jax.jit
  def look(seed, x):
    root = keys.root(0)
    cotangent = keys.at(keys.stream(root, 'down'), seed)
    params = _init(keys.at(root, seed))
    return snapshot.of_model(_init, _block, (x,))(params, (x,), cotangent)

  one = look(jnp.uint32(1), _X)
  same = lambda a, b: np.testing.assert_allclose(a, b[1], rtol=1e-5)
  assert [site.name for site in audited.sites] == ['a', 'b']
  for site in audited.sites:
    mine = one.sites[site.name]
    same(mine['forward_rms'] ** 2, site.measured['forward_square'])
    same(mine['backward_rms'] ** 2, site.measured['backward_square'])
    same(mine['weight_gradient'], site.measured['weight_gradient'])
  (add,), (mine,) = audited.residuals, one.residuals
  same(mine['sum_rms'] ** 2, add.measured['sum_square'])
  same(mine['branch_offset'] ** 2, add.measured['branch_unit_square'])


def test_means_of_units_are_told_apart_from_their_variances(audited):
  (add,) = audited.residuals
  params = _init(keys.at(keys.root(0), jnp.uint32(0)))
  branch = np.asarray(_block(params, _X) - _X, np.float64)
  for name, each in (('skip', _X), ('branch', branch)):
    square = add.measured[f'{name}_unit_square'][0]
    variance = add.measured[f'{name}_unit_variance'][0]
    # Rounding of float32 in a difference of squares of order one.
    np.testing.assert_allclose(square, (each.mean(0) ** 2).mean(), rtol=1e-4)
    np.testing.assert_allclose(variance, each.var(0).mean(), rtol=1e-4)
