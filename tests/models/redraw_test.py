"""Redraws: the law that was asked for, in every layout; the rest named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, keys, testing
from initlab.models import convnet, leaves, redraw, transformer, uses

_RNG = np.random.default_rng(0)
_TOKENS = jnp.zeros((2, 3), jnp.int32)
_TRANSFORMER = transformer.Config(7, 3, width=16, heads=2, blocks=3)
_CONVNET = convnet.Config(channels=2, classes=3, width=8, blocks=2)


def _is_leaf(node):
  return isinstance(node, leaves.Leaf)


def _normal(shape):
  return jnp.float32(_RNG.standard_normal(shape))


def _filled(declared):
  draw = lambda leaf: _normal(leaf.shape)
  return jax.tree.map(draw, declared, is_leaf=_is_leaf)


@functools.cache
def _transformer():
  params = _filled(transformer.declared(_TRANSFORMER))
  return uses.trace(transformer.apply, params, _TOKENS), params


@functools.cache
def _convnet():
  params = _filled(convnet.declared(_CONVNET))
  return uses.trace(convnet.apply, params, jnp.zeros((1, 4, 4, 2))), params


def _axes(axes, rank):
  """Axes as tuples of numbers that are not negative."""
  tuples = {}
  for name in ('in_axis', 'out_axis', 'batch_axis'):
    value = axes.get(name, ())
    value = value if isinstance(value, tuple) else (value,)
    tuples[name] = tuple(axis % rank for axis in value)
  return tuples


@pytest.mark.parametrize(
  ('traced', 'declared'),
  [
    (_transformer, transformer.declared(_TRANSFORMER)),
    (_convnet, convnet.declared(_CONVNET)),
  ],
)
def test_axes_from_the_use_are_those_declared(traced, declared):
  model, _ = traced()
  declared = jax.tree.leaves(declared, is_leaf=_is_leaf)
  kernels = 0
  for use, leaf in zip(model.uses, declared, strict=True):
    if leaf.axes:
      assert use.axes == _axes(leaf.axes, len(leaf.shape)), use.name
      kernels += 1
  assert kernels == sum(use.is_kernel for use in model.uses)


def _initializer(traced, name, scheme):
  """One leaf of a redraw as an initializer."""
  model, params = traced()
  number = next(use.number for use in model.uses if use.name == name)

  def initializer(key, shape, dtype):
    del shape, dtype
    new = redraw.redraw(model.uses, params, key, None, {name: scheme})
    return jax.tree.leaves(new.params)[number]

  return jax.jit(initializer, static_argnums=(1, 2))


@pytest.mark.parametrize(
  ('traced', 'name', 'scheme', 'law'),
  [
    (_convnet, 'blocks/first', 'he', 'he_normal'),
    pytest.param(
      *(_transformer, 'blocks/attention/out', 'glorot', 'glorot_uniform'),
      marks=pytest.mark.slow,
    ),
    pytest.param(
      *(_transformer, 'blocks/mlp/down', 'orthogonal', 'orthogonal'),
      marks=pytest.mark.slow,
    ),
    pytest.param(
      *(_convnet, 'stem', 'jax.nn.initializers.he_normal'),
      'he_truncated_normal',
      marks=pytest.mark.slow,
    ),
  ],
)
def test_a_redrawn_leaf_has_the_law_that_was_asked_for(
  traced, name, scheme, law
):
  model, _ = traced()
  declared = {
    _transformer: transformer.declared(_TRANSFORMER),
    _convnet: convnet.declared(_CONVNET),
  }[traced]
  number = next(use.number for use in model.uses if use.name == name)
  leaf = jax.tree.leaves(declared, is_leaf=_is_leaf)[number]
  initializer = _initializer(traced, name, scheme)
  testing.check_initializer(
    initializer, law, leaf.shape, draws=2**14, **leaf.axes
  )


def test_only_what_was_selected_changes():
  model, params = _transformer()
  new = redraw.redraw(
    model.uses,
    params,
    keys.root(0),
    None,
    {'*/out': 'zeros', 'position': 'ones'},
  )
  assert set(new.drawn) == {'blocks/attention/out', 'position'}
  assert new.left == {}
  for use, old, now in zip(
    model.uses,
    jax.tree.leaves(params),
    jax.tree.leaves(new.params),
    strict=True,
  ):
    assert (use.name in new.drawn) != bool(jnp.array_equal(old, now)), use.name


def test_all_kernels_and_no_lookup_are_drawn_by_a_scheme_alone():
  model, params = _transformer()
  new = redraw.redraw(model.uses, params, keys.root(0), 'zeros')
  rest = ('embedding', 'position', 'norm', 'attention/norm', 'mlp/norm')
  assert not any(name.endswith(rest) for name in new.drawn)
  assert len(new.drawn) == 7


def test_a_token_is_a_kernel_of_fan_in_one():
  model, params = _transformer()
  new = redraw.redraw(
    model.uses, params, keys.root(0), None, {'embedding': 'orthogonal'}
  )
  rows = jnp.linalg.norm(new.params['embedding'], axis=1)
  np.testing.assert_allclose(rows, 1, rtol=1e-6)


def _torch(params, x):
  """PyTorch's layouts: [out, in], and [out, in, *field]."""
  x = jax.lax.conv_general_dilated(x, params['conv'], (1,), 'SAME')
  return jnp.mean(x, axis=2) @ params['linear'].T


@pytest.mark.slow
def test_delta_orthogonal_in_another_layout():
  params = {'conv': _normal((6, 4, 3)), 'linear': _normal((5, 6))}
  model = uses.trace(_torch, params, jnp.ones((2, 4, 8)))
  choice = {'conv': initializers.delta_orthogonal, 'linear': 'orthogonal'}
  new = redraw.redraw(model.uses, params, keys.root(0), None, choice).params
  np.testing.assert_array_equal(new['conv'][:, :, [0, 2]], 0)
  tap = new['conv'][:, :, 1]
  # To the rounding of a QR decomposition of four columns.
  np.testing.assert_allclose(tap.T @ tap, np.eye(4), atol=1e-6)
  linear = new['linear']
  np.testing.assert_allclose(linear @ linear.T, np.eye(5), atol=1e-6)


def _strange(params, x):
  tied = x @ params['tied']
  tied = jnp.tanh(tied) @ params['tied'].T
  mixed = tied @ (params['base'] + params['delta'])
  cut = mixed @ params['cut'][:, :3]
  shared, _ = jax.lax.scan(
    lambda h, _: (jnp.tanh(h @ params['time']), None), cut, length=4
  )
  return shared


_STRANGE = {
  'tied': (4, 6),
  'base': (4, 5),
  'delta': (4, 5),
  'cut': (5, 6),
  'time': (3, 3),
  'unused': (2, 2),
}


def test_what_cannot_be_drawn_is_named_and_left():
  params = {name: _normal(shape) for name, shape in _STRANGE.items()}
  model = uses.trace(_strange, params, jnp.ones((2, 4)))
  new = redraw.redraw(model.uses, params, keys.root(0), None, {'*': 'he'})
  assert new.drawn == ('time',)
  assert 'tied' in new.left['tied']
  assert (
    'other leaves' in new.left['base'] and 'other leaves' in new.left['delta']
  )
  assert 'slice' in new.left['cut']
  assert 'depend' in new.left['unused']
  for name in new.left:
    np.testing.assert_array_equal(new.params[name], params[name])
  with pytest.raises(base.UserError, match=r'no leaf can be changed\. tied: '):
    redraw.redraw(model.uses, params, keys.root(0), None, {'tied': 'he'})


def test_a_packed_leaf_is_drawn_slice_by_slice():
  def apply(params, x):
    query, key, value = (params['qkv'][:, i : i + 8] for i in (0, 8, 16))
    return (x @ query) * (x @ key) + x @ value

  params = {'qkv': _normal((4, 24))}
  model = uses.trace(apply, params, jnp.ones((2, 4)))
  new = redraw.redraw(model.uses, params, keys.root(0), 'orthogonal')
  slices = jnp.split(new.params['qkv'], 3, axis=1)
  for each in slices:
    # Orthonormal rows of 8, not of 24, entries; rounding of a QR decomposition.
    np.testing.assert_allclose(each @ each.T, np.eye(4), atol=1e-6)
  assert not np.array_equal(slices[0], slices[1])


def test_branches_are_scaled_with_the_number_of_adds():
  model, params = _transformer()
  new = redraw.scale_branches(model, params)
  assert set(new.drawn) == {'blocks/attention/out', 'blocks/mlp/down'}
  old, now = params['blocks'], new.params['blocks']
  # Three blocks of two adds.
  np.testing.assert_allclose(
    now['mlp']['down'], old['mlp']['down'] * 6**-0.5, rtol=1e-6
  )
  np.testing.assert_array_equal(now['mlp']['up'], old['mlp']['up'])


def test_zero_branches_make_every_block_the_identity():
  model, params = _transformer()
  new = redraw.scale_branches(model, params, 0.0).params
  none = {**new, 'blocks': jax.tree.map(lambda w: w[:0], new['blocks'])}
  np.testing.assert_array_equal(
    transformer.apply(new, _TOKENS), transformer.apply(none, _TOKENS)
  )


def test_a_model_without_branches_has_none_to_scale():
  params = {'w': _normal((3, 3))}
  model = uses.trace(lambda p, x: x @ p['w'], params, jnp.ones((2, 3)))
  for change in (redraw.scale_branches, redraw.set_branch_scalars):
    with pytest.raises(base.UserError):
      change(model, params, 0.0)


def test_skipinit_sets_the_scalar_of_a_scanned_branch():
  model, params = _convnet()
  new = redraw.set_branch_scalars(model, params, 0.0)
  assert new.drawn == ('blocks/alpha',)
  np.testing.assert_array_equal(new.params['blocks']['alpha'], 0)


def test_layerscale_sets_the_channels_and_not_the_scale_of_a_norm():
  def apply(params, x):
    for layer in params:
      y = x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True)) * layer['norm'][None]
      x = x + layer['gamma'][None] * (jnp.tanh(y @ layer['up']) @ layer['down'])
    return x

  layer = {'norm': (4,), 'gamma': (4,), 'up': (4, 8), 'down': (8, 4)}
  params = [{name: _normal(layer[name]) for name in layer} for _ in range(2)]
  model = uses.trace(apply, params, jnp.ones((2, 4)))
  new = redraw.set_branch_scalars(model, params, 1e-5)
  assert new.drawn == ('0/gamma', '1/gamma')
  np.testing.assert_array_equal(new.params[1]['gamma'], np.float32(1e-5))


@pytest.mark.slow
def test_reinforcement_has_three_gains():
  def apply(params, x):
    x = jnp.tanh(x @ params['body'])
    return x @ params['actor'], x @ params['critic']

  params = {
    'body': _normal((6, 6)),
    'actor': _normal((6, 3)),
    'critic': _normal((6, 1)),
  }
  model = uses.trace(apply, params, jnp.ones((2, 6)))
  new = redraw.reinforcement(
    model.uses, params, keys.root(0), 'actor', 'critic'
  ).params
  for name, gain in (('body', 2**0.5), ('actor', 0.01), ('critic', 1)):
    gram = new[name].T @ new[name] / gain**2
    # To the rounding of a QR decomposition of six columns.
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
