"""Calibration: the papers' algorithms, layer by layer and by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base
from initlab.models import calibrate, convnet, leaves, transformer, uses

_RNG = np.random.default_rng(1)


def _normal(*shape):
  return jnp.float32(_RNG.standard_normal(shape))


def _mlp(params, x):
  """[out, in] kernels of PyTorch; biases."""
  for layer in params[:-1]:
    x = jax.nn.relu(x @ layer['w'].T + layer['b'][None])
  return x @ params[-1]['w'].T


def _mlp_params(sizes=(6, 9, 7, 3), bias=0.0):
  return [
    {'w': _normal(n_out, n_in), 'b': jnp.full(n_out, bias)}
    for n_in, n_out in itertools.pairwise(sizes)
  ]


def test_one_pass_is_the_textbooks_layer_by_layer():
  params, x = _mlp_params(), _normal(5, 6)
  model = uses.trace(_mlp, params, x)
  found = calibrate.lsuv(model, params, x, target=0.5)
  assert found.drawn == ('0/w', '1/w', '2/w')
  assert found.left == {}
  for layer, new in zip(params, found.params, strict=True):
    w = layer['w'] * 0.5 / jnp.std(x @ layer['w'].T)
    # Four sums, of 9 products at most.
    np.testing.assert_allclose(new['w'], w, rtol=1e-5)
    x = jax.nn.relu(x @ w.T)


def test_a_bias_enters_what_comes_after():
  params, x = _mlp_params(bias=2.0), _normal(5, 6)
  found = calibrate.lsuv(uses.trace(_mlp, params, x), params, x)
  first, second = found.params[:2]
  x = x @ first['w'].T
  assert abs(jnp.std(x) - 1) < 1e-5
  x = jax.nn.relu(x + 2) @ second['w'].T
  assert abs(jnp.std(x) - 1) < 1e-5


@pytest.mark.parametrize(
  'name', [pytest.param('transformer', marks=pytest.mark.slow), 'convnet']
)
def test_every_layer_of_a_scan_is_calibrated(name):
  if name == 'transformer':
    declared = transformer.declared(
      transformer.Config(5, 4, width=8, heads=2, blocks=3)
    )
    apply, x = transformer.apply, jnp.int32(_RNG.integers(5, size=(2, 4)))
  else:
    declared = convnet.declared(convnet.Config(2, 3, width=4, blocks=3))
    apply, x = convnet.apply, _normal(2, 4, 4, 2)
  is_leaf = lambda node: isinstance(node, leaves.Leaf)
  params = jax.tree.map(
    lambda leaf: _normal(*leaf.shape), declared, is_leaf=is_leaf
  )
  model = uses.trace(apply, params, x)
  found = calibrate.lsuv(model, params, x)
  assert len(found.drawn) == sum(use.is_kernel for use in model.uses)
  again = calibrate.lsuv(model, found.params, x).params
  for old, new in zip(
    jax.tree.leaves(found.params), jax.tree.leaves(again), strict=True
  ):
    # What is calibrated stays, to the tolerance of a deviation.
    np.testing.assert_allclose(new, old, rtol=1e-4)
  if name == 'convnet':
    kernel = found.params['stem']
    stem = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    assert abs(jnp.std(stem) - 1) < 1e-5


def _strange(params, x):
  """A tied kernel, one of a loop over time, a standardized one, a right one."""
  x = jnp.tanh(x @ params['tied']) @ params['tied'].T
  x, _ = jax.lax.scan(
    lambda h, _: (jnp.tanh(h @ params['time']), None), x, length=2
  )
  w = params['standardized']
  x = x @ ((w - jnp.mean(w)) / jnp.std(w))
  return x @ params['right']


def test_what_does_not_go_with_its_kernel_is_named_and_left():
  names = ('tied', 'time', 'standardized', 'right')
  params = {name: _normal(4, 4) for name in names}
  x = _normal(3, 4)
  found = calibrate.lsuv(uses.trace(_strange, params, x), params, x)
  assert found.drawn == ('right',)
  assert 'tied' in found.left['tied']
  assert 'time' in found.left['time']
  assert 'standardized' in found.left
  for name in found.left:
    np.testing.assert_array_equal(found.params[name], params[name])
  # The right one is calibrated to what it really sees.
  assert abs(jnp.std(_strange(found.params, x)) - 1) < 1e-5


def test_a_kernel_of_zeros_is_left_and_those_after_it_are_not():
  apply = lambda params, x: (x + x @ params['zero']) @ params['last']
  params = {'zero': jnp.zeros((4, 4)), 'last': _normal(4, 4)}
  x = _normal(3, 4)
  found = calibrate.lsuv(uses.trace(apply, params, x), params, x)
  assert found.drawn == ('last',)
  assert list(found.left) == ['zero']
  assert abs(jnp.std(apply(found.params, x)) - 1) < 1e-5


@pytest.mark.slow
def test_narrow_types_are_calibrated_to_their_rounding():
  narrow = jax.tree.map(jnp.bfloat16, _mlp_params())
  x = jnp.bfloat16(_normal(5, 6))
  found = calibrate.lsuv(uses.trace(_mlp, narrow, x), narrow, x)
  assert found.drawn == ('0/w', '1/w', '2/w')
  assert all(
    leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(found.params)
  )
  # Four roundings of 2^-7, as `calibrate` has it.
  assert abs(jnp.std(jnp.float32(_mlp(found.params, x))) - 1) < 2**-5


def test_nothing_to_calibrate_is_refused():
  params = {'tied': _normal(4, 4)}
  apply = lambda params, x: x @ params['tied'] @ params['tied']
  model = uses.trace(apply, params, jnp.ones((2, 4)))
  with pytest.raises(base.UserError, match=r'can be calibrated\. tied: it'):
    calibrate.lsuv(model, params, _normal(2, 4))


def _loss(params, x):
  return jnp.sum(_mlp(params, x) ** 2)


def _rates(params, x):
  gradient = jax.grad(_loss)(params, x)
  norm = jnp.linalg.norm
  return np.array(
    [
      norm(g['w']) / norm(layer['w'])
      for g, layer in zip(gradient, params, strict=True)
    ]
  )


@pytest.mark.slow
def test_one_undamped_step_makes_the_rates_of_relus_equal():
  params, x = _mlp_params(), _normal(5, 6)
  params[1]['w'] *= 30
  assert np.ptp(np.log(_rates(params, x))) > np.log(10)
  model = uses.trace(_loss, params, x)
  found = calibrate.equal_rates(_loss, model, params, x, steps=1, damping=1.0)
  rates = _rates(found.params, x)
  # A chain of three matrices there and back: tens of roundings.
  np.testing.assert_allclose(rates / rates[0], 1, rtol=1e-5)
  np.testing.assert_allclose(
    _mlp(found.params, x), _mlp(params, x), rtol=1e-4, atol=1e-4
  )


def test_the_rates_of_a_network_with_biases_come_together():
  params, x = _mlp_params(bias=0.3), _normal(5, 6)
  params[1]['w'] *= 30
  model = uses.trace(_loss, params, x)
  found = calibrate.equal_rates(_loss, model, params, x, steps=20)
  assert np.ptp(np.log(_rates(found.params, x))) < np.log(1.1)


def test_layers_of_a_scan_have_rates_of_their_own():
  def loss(params, x):
    x, _ = jax.lax.scan(
      lambda x, w: (jax.nn.relu(x @ w), None), x, params['stack']
    )
    return jnp.sum(x**2)

  params = {'stack': jnp.abs(_normal(3, 4, 4)).at[1].multiply(10.0)}
  x = jnp.abs(_normal(2, 4))
  model = uses.trace(loss, params, x)
  found = calibrate.equal_rates(loss, model, params, x, steps=1, damping=1.0)
  gradient = jax.grad(loss)(found.params, x)['stack']
  norm = lambda w: jnp.linalg.norm(w.reshape(3, -1), axis=1)
  rates = norm(gradient) / norm(found.params['stack'])
  np.testing.assert_allclose(rates / rates[0], 1, rtol=1e-4)
