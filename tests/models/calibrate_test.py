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


def test_branches_may_have_a_target_of_their_own():
  def apply(params, x):
    for layer in params:
      x = x + jnp.tanh(x @ layer['up']) @ layer['down']
    return x

  shapes = {'up': (6, 9), 'down': (9, 6)}
  params = [{name: _normal(*shapes[name]) for name in shapes} for _ in range(4)]
  x = _normal(5, 6)
  model = uses.trace(apply, params, x)
  new = calibrate.lsuv(model, params, x, branch=None).params
  for layer in new:
    up = x @ layer['up']
    down = jnp.tanh(up) @ layer['down']
    # One over the root of four branches, to the tolerance of a calibration.
    np.testing.assert_allclose(
      [jnp.std(up), jnp.std(down)], [1, 0.5], rtol=1e-4
    )
    x = x + down


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


def test_a_tied_embedding_is_named_and_left():
  apply = lambda params, t: params['e'][t] @ params['w'] @ params['e'].T
  params, t = {'e': _normal(5, 4), 'w': _normal(4, 4)}, jnp.arange(3)
  found = calibrate.lsuv(uses.trace(apply, params, t), params, t)
  assert found.drawn == ('w',) and 'tied' in found.left['e']


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


def test_every_unit_has_variance_one_and_the_mean_of_its_bias():
  params, x = _mlp_params(bias=2.0), _normal(5, 6)
  model = uses.trace(_mlp, params, x)
  found = calibrate.unit_variance(model, params, x, mean=0.25)
  # The last bias is not used, so there is none to set.
  assert found.drawn == ('0/b', '0/w', '1/b', '1/w', '2/w')
  for old, new in zip(params[:-1], found.params, strict=False):
    s = x @ old['w'].T
    np.testing.assert_allclose(
      # Sums of 9 products, then divided by a deviation of about 1.
      new['w'],
      old['w'] / jnp.std(s, 0)[:, None],
      rtol=1e-5,
    )
    t = x @ new['w'].T + new['b']
    np.testing.assert_allclose(jnp.mean(t, 0), 0.25, atol=1e-5)
    np.testing.assert_allclose(jnp.std(t, 0), 1, rtol=1e-5)
    x = jax.nn.relu(t)


def test_units_of_heads_channels_and_scanned_layers():
  """Kernels [in, heads, d], OIHW of two groups and [layers, out, in]."""

  def apply(params, x):
    x = jax.lax.conv_general_dilated(
      x, params['conv'], (1, 1), 'SAME', feature_group_count=2
    )
    x = x + params['shift'].reshape(1, 4, 1, 1)
    x = jnp.einsum('bchw,cnd->bhwnd', x, params['heads']) + params['b'][None]
    x = jnp.tanh(x).reshape(-1, 6)
    layer = lambda x, p: (jnp.tanh(x @ p['w'].T + p['b'][None]), None)
    return jax.lax.scan(layer, x, params['stack'])[0]

  params = {
    'conv': _normal(4, 1, 3, 3),
    'shift': _normal(4),
    'heads': _normal(4, 2, 3),
    'b': _normal(2, 3),
    'stack': {'w': _normal(2, 6, 6), 'b': _normal(2, 6)},
  }
  x = _normal(3, 2, 4, 4)
  model = uses.trace(apply, params, x)
  found = calibrate.unit_variance(model, params, x)
  assert found.left == {} and len(found.drawn) == 6
  inverse = lambda y: jnp.arctanh(jnp.clip(y, -1 + 1e-7, 1 - 1e-7))
  last = inverse(apply(found.params, x))
  np.testing.assert_allclose(jnp.mean(last, 0), 0, atol=1e-3)
  # arctanh enlarges the rounding of tanh by 1 / (1 - tanh^2), at 3 by 100.
  np.testing.assert_allclose(jnp.std(last, 0), 1, rtol=1e-3)


def test_a_shared_bias_is_named_and_left():
  def apply(params, x):
    x = jnp.tanh(x @ params['a'] + params['b'][None])
    return x @ params['c'] + params['b'][None]

  params = {'a': _normal(4, 4), 'b': _normal(4), 'c': _normal(4, 4)}
  x = _normal(6, 4)
  found = calibrate.unit_variance(uses.trace(apply, params, x), params, x)
  assert found.drawn == ('a', 'c') and 'shared' in found.left['b']
  assert 'left as it is: b: it is shared' in repr(found)
  np.testing.assert_array_equal(found.params['b'], params['b'])
  np.testing.assert_allclose(jnp.std(apply(found.params, x), 0), 1, rtol=1e-5)


def test_a_method_is_named_with_its_knobs():
  params, x = _mlp_params(), _normal(5, 6)
  model = uses.trace(_mlp, params, x)
  found = calibrate.calibrate(model, params, x, method='lsuv:target=0.5')
  assert abs(jnp.std(_mlp(found.params, x)) - 0.5) < 1e-5
  for method, message in (
    ('lsvu', "did you mean 'lsuv'"),
    ('lsuv:steps=3', "no knob 'steps'"),
    ('lsuv:target=0', 'target=0.0: a standard deviation above 0'),
    ('between_layers:damping=2', r'damping in \(0, 1\]'),
    ('between_layers:steps=1.5', 'steps=1.5, damping=0.5: whole steps'),
  ):
    with pytest.raises(base.UserError, match=message):
      calibrate.calibrate(model, params, x, method=method)


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


def test_one_undamped_step_makes_the_rates_of_relus_equal():
  """With biases: they follow, so the network computes what it did."""
  params, x = _mlp_params(bias=0.3), _normal(5, 6)
  params[1]['w'] *= 30
  assert np.ptp(np.log(_rates(params, x))) > np.log(10)
  model = uses.trace(_loss, params, x)
  found = calibrate.between_layers(model, params, x, steps=1, damping=1.0)
  rates = _rates(found.params, x)
  # A chain of three matrices there and back: tens of roundings.
  np.testing.assert_allclose(rates / rates[0], 1, rtol=1e-5)
  np.testing.assert_allclose(
    _mlp(found.params, x), _mlp(params, x), rtol=1e-4, atol=1e-4
  )


def test_both_stages_of_a_model_without_a_loss():
  params, x = _mlp_params(bias=0.3), _normal(8, 6)
  model = uses.trace(_mlp, params, x)
  found = calibrate.equal_rates(
    model, params, x, mean=0.1, steps=1, damping=1.0
  )
  assert found.left == {}
  # The chain of ReLUs computes what it did, so its output has unit variance.
  np.testing.assert_allclose(jnp.std(_mlp(found.params, x), 0), 1, rtol=1e-4)
  other = calibrate.between_layers(model, found.params, x, steps=1, seed=0)
  # All rates are equal for these draws, so nothing is left to do.
  for old, new in zip(found.params, other.params, strict=True):
    np.testing.assert_allclose(new['w'], old['w'], rtol=1e-4)


def test_layers_of_a_scan_have_rates_of_their_own():
  def loss(params, x):
    x, _ = jax.lax.scan(
      lambda x, w: (jax.nn.relu(x @ w), None), x, params['stack']
    )
    return jnp.sum(x**2)

  params = {'stack': jnp.abs(_normal(3, 4, 4)).at[1].multiply(10.0)}
  x = jnp.abs(_normal(2, 4))
  model = uses.trace(loss, params, x)
  found = calibrate.between_layers(model, params, x, steps=1, damping=1.0)
  gradient = jax.grad(loss)(found.params, x)['stack']
  norm = lambda w: jnp.linalg.norm(w.reshape(3, -1), axis=1)
  rates = norm(gradient) / norm(found.params['stack'])
  np.testing.assert_allclose(rates / rates[0], 1, rtol=1e-4)


def test_kernels_without_a_rate_are_left_and_the_others_are_not_lost():
  """A branch that ends in zeros: it is zero, what leads to it has no slope."""

  def apply(params, x):
    x = x + jax.nn.relu(x @ params['up']) @ params['down']
    return jax.nn.relu(x @ params['first']) @ params['last']

  shapes = {'up': (4, 6), 'down': (6, 4), 'first': (4, 4), 'last': (4, 3)}
  params = {name: _normal(*shape) for name, shape in shapes.items()}
  params['down'] *= 0
  params['count'] = jnp.arange(3)  # nothing is differentiated by it
  x = _normal(5, 4)
  model = uses.trace(apply, params, x)
  found = calibrate.between_layers(model, params, x)
  assert found.drawn == ('first', 'last')
  assert found.left == {
    'down': 'it is zero',
    'up': 'the gradient of it is zero',
  }
  for name in shapes:
    assert np.isfinite(found.params[name]).all()


def test_a_model_that_ends_in_zeros_has_no_rates():
  params, x = _mlp_params(), _normal(5, 6)
  params[-1]['w'] *= 0
  model = uses.trace(_mlp, params, x)
  with pytest.raises(base.UserError, match='2/w: it is zero'):
    calibrate.between_layers(model, params, x)
