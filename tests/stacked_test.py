"""Stacked networks compute what their layers do, with a program of one size."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, keys, mlp, networks, stacked


class _Config:
  activation, loss = 'tanh', 'cross_entropy'


_BATCH = base.Batch(
  jax.random.normal(keys.at(keys.root(0), 1), (3, 2)), jnp.array([0, 1, 1])
)


def _layers(depth):
  draw = lambda key, shape, dtype: jax.random.normal(key, shape, dtype)
  hidden = (4,) * depth
  return mlp.init(keys.root(0), (2, *hidden, 2), draw, bias=_bias)


def _bias(key, shape, dtype):
  return jax.random.normal(key, shape[1:], dtype)


@pytest.mark.parametrize('depth', [1, 2, 5])
def test_costs_errors_and_gradients_are_those_of_the_layers(depth):
  """To the rounding of a few sums of four terms."""
  layers = _layers(depth)
  network = stacked.of_layers(layers)
  chex.assert_trees_all_equal(stacked.layers(network), layers)
  np.testing.assert_allclose(
    jnp.stack(stacked.evaluate(_Config, network, _BATCH)),
    jnp.stack(networks.evaluate(_Config, layers, _BATCH)),
    rtol=1e-5,
  )
  found = jax.grad(stacked.objective(_Config))(network, _BATCH)
  expected = jax.grad(networks.objective(_Config))(layers, _BATCH)
  chex.assert_trees_all_close(stacked.layers(found), expected, atol=1e-5)


def test_the_program_does_not_grow_with_depth():
  def size(depth):
    network = stacked.of_layers(_layers(depth))
    step = jax.value_and_grad(stacked.objective(_Config))
    return str(jax.make_jaxpr(step)(network, _BATCH)).count('\n')

  assert size(40) == size(3)


@pytest.mark.parametrize('widths', [(2, 2), (2, 3, 4, 2)])
def test_layers_of_no_one_width_are_refused(widths):
  draw = lambda key, shape, dtype: jnp.zeros(shape, dtype)
  with pytest.raises(base.UserError, match='one width'):
    stacked.of_layers(mlp.init(keys.root(0), widths, draw))


def test_the_knob_of_widths_takes_one():
  assert stacked.Network(widths=(3, 3), dataset='xor').depth == 0
  with pytest.raises(base.UserError, match='--widths=3-4: hidden layers'):
    stacked.Network(widths=(3, 4), dataset='xor')
