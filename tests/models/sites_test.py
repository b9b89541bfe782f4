"""Which sites, biases, residual adds and activations a model has."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from initlab import kernels, keys
from initlab.models import model as models, recognize, results
from tests.helpers import architectures


@functools.cache
def places(name):
  """Facts of a model, nothing measured: the places by name, and the model."""
  model = models.take_apart(*architectures.ALL[name]())
  functions = recognize.recognize(list(model.plan.activations.values()))
  namer = results.Namer(model, functions)
  named = {each.name: each for each in (namer.site(s, {}) for s in namer.sites)}
  return named, namer, model


@pytest.mark.parametrize(
  ('name', 'sites'),
  [
    ('lab_mlp', ['0/w', '1/w', '2/w']),
    ('deep_lab_mlp', ['0/w', '1/w...19/w', '20/w']),
    ('rnn', ['u', 'w', 'out']),
    ('lora', ['w', 'a', 'b']),
    ('experts', ['router', 'up', 'down', 'product 1', 'out']),
    ('standardized', ['w', 'out']),
    ('bfloat16', ['w', 'out']),
    ('branches', ['right', 'left', 'out']),
    ('while_loop', ['out']),
    ('custom_rule', ['w', 'out']),
    ('resnet', ['a', 'b', 'shortcut', 'out']),
    ('packed', ['qkv', 'qkv (use 2)', 'qkv (use 3)', 'a', 'b']),
    (
      'gated',
      [
        'embedding',
        'gate',
        'up',
        'down',
        'both',
        'down2',
        'embedding (use 2)',
      ],
    ),
    (
      'scanned_remat_language_model',
      [
        'embedding',
        'blocks/qkv',
        'product 1',
        'product 2',
        'blocks/projection',
        'blocks/up',
        'blocks/down',
        'readout',
      ],
    ),
  ],
)
def test_sites_in_the_order_of_the_program(name, sites):
  assert list(places(name)[0]) == sites


@pytest.mark.parametrize('name', architectures.ALL)
def test_axes_give_the_leaf_the_fans_of_its_use(name):
  """The fans of an initializer told these axes are the site's own."""
  named, _, model = places(name)
  shapes = dict(zip(model.names, model.shapes, strict=True))
  for site in named.values():
    if site.axes is None or site.kind == 'lookup':
      continue
    shape = shapes[site.leaves[0]].shape
    if site.part:
      cuts = zip(site.part, shape, strict=True)
      shape = tuple(len(range(*each.indices(size))) for each, size in cuts)
    n_in, _ = kernels.fans(shape, **site.axes)
    assert n_in == site.n_in
    assert math.prod(shape) >= site.n_in


@pytest.mark.parametrize(
  ('name', 'site', 'n_in', 'n_out', 'axes'),
  [
    ('resnet', 'b', 72, 72, ((2,), (3,), ())),
    ('grouped_convolution', 'depthwise', 9, 18, ((1,), (0,), ())),
    ('grouped_convolution', 'grouped', 36, 27, ((1,), (0,), ())),
    ('experts', 'down', 16, 8, ((1,), (2,), (0,))),
    ('nested_scans', 'w', 8, 8, ((3,), (2,), (0, 1))),
    ('counted_loop', 'w', 8, 8, ((1,), (2,), (0,))),
    ('gated', 'embedding', 1, 8, ((0,), (1,), ())),
    ('gated', 'embedding (use 2)', 8, 20, ((1,), (0,), ())),
    ('standardized', 'w', 8, 16, ((0,), (1,), ())),
    ('deep_lab_mlp', '1/w...19/w', 16, 16, ((0,), (1,), ())),
    ('language_model', 'blocks/1/down', 64, 16, ((0,), (1,), ())),
    ('scanned_language_model', 'blocks/down', 64, 16, ((1,), (2,), (0,))),
  ],
)
def test_fans_and_axes_come_from_the_contraction(name, site, n_in, n_out, axes):
  found = places(name)[0][site]
  ins, outs, batch = axes
  assert (found.n_in, found.n_out) == (n_in, n_out)
  assert found.axes == {'in_axis': ins, 'out_axis': outs, 'batch_axis': batch}


def test_a_slice_of_a_leaf_is_a_part():
  named = places('packed')[0]
  ends = [named[n].part[1] for n in ('qkv', 'qkv (use 2)', 'qkv (use 3)')]
  assert ends == [slice(0, 8), slice(8, 16), slice(16, 24)]
  assert named['qkv'].uses == 3 and named['a'].part == ()


@pytest.mark.parametrize(
  ('name', 'site', 'iterations', 'stacked'),
  [
    ('rnn', 'w', (5,), False),
    ('nested_scans', 'w', (2, 3), True),
    ('counted_loop', 'w', (3,), True),
    ('deep_lab_mlp', '1/w...19/w', (19,), True),
    ('scanned_language_model', 'blocks/up', (2,), True),
    ('language_model', 'blocks/1/up', (), False),
  ],
)
def test_loops_over_layers_have_stacked_weights_and_over_time_have_not(
  name, site, iterations, stacked
):
  found = places(name)[0][site]
  assert (found.iterations, found.stacked) == (iterations, stacked)


@pytest.mark.parametrize(
  ('name', 'adds'),
  [
    ('lab_mlp', []),
    ('rnn', []),
    ('lstm', []),
    ('lora', []),
    ('experts', [('product 1',)]),
    ('counted_loop', [('w',)]),
    ('nested_scans', [('w',)]),
    ('gated', [('down',), ('down2',)]),
    ('packed', [('a',), ('b',), ('qkv (use 3)',)]),
    ('resnet', [('b',)]),
    ('scanned_language_model', [('blocks/projection',), ('blocks/down',)]),
  ],
)
def test_an_add_of_a_branch_to_its_own_input_is_residual(name, adds):
  """Unlike a bias, a mask, a sum of two sites or a recurrence."""
  _, namer, _ = places(name)
  found = [namer.residual(each, {}).sites for each in namer.residuals]
  assert found == adds


def test_a_site_names_the_add_that_it_ends_in_and_what_it_reads():
  named = places('language_model')[0]
  assert named['blocks/0/down'].residual == 'add 2'
  assert named['blocks/0/up'].residual == ''
  assert named['blocks/0/projection'].after == ('product 2',)
  assert named['blocks/0/up'].after == ('embedding', 'blocks/0/projection')
  gate, up, down = (places('gated')[0][n] for n in ('gate', 'up', 'down'))
  assert gate.reads == up.reads != down.reads


@pytest.mark.parametrize(
  ('name', 'functions'),
  [
    ('lab_mlp', [('0/w', 'tanh', True, False), ('1/w', 'tanh', True, False)]),
    ('rnn', [('u', 'tanh', False, False)]),
    ('lora', [('w', 'relu', False, False)]),
    ('bfloat16', [('w', 'relu', True, False)]),
    ('experts', [('up', 'silu', True, False)]),
    ('standardized', [('w', 'relu', True, False)]),
    (
      'resnet',
      [('a', 'gelu (tanh)', True, False), ('b', 'relu', False, False)],
    ),
    ('gated', [('gate', 'silu', True, True), ('both', 'sigmoid', False, True)]),
    ('scanned_language_model', [('blocks/up', 'gelu (tanh)', True, False)]),
    (
      'lstm',
      [
        ('u', name, False, True)
        for name in ('sigmoid', 'sigmoid', 'tanh', 'sigmoid', 'tanh')
      ],
    ),
  ],
)
def test_activations_are_told_by_their_values(name, functions):
  """Neither softmax, norms, losses nor casts are among them."""
  _, namer, _ = places(name)
  found = [
    (
      namer.site_names[each.sites[0]],
      namer.functions[each.number].name,
      each.direct,
      each.gate,
    )
    for each in namer.activations
  ]
  if name == 'lstm':
    assert sorted(f[1] for f in found) == sorted(f[1] for f in functions)
    assert {f[2] for f in found} == {False}
  else:
    assert found == functions


@pytest.mark.parametrize(
  'activation',
  [
    lambda s: s / (1 + jnp.exp(-s)),
    lambda s: s * jax.nn.sigmoid(s),
    jax.nn.silu,
    lambda s: jnp.where(s > 0, 1.0, 1.0) * jax.nn.silu(s.astype(jnp.float32)),
  ],
)
def test_a_function_written_by_hand_is_named_by_its_values(activation):
  init = architectures.draw(w=(8, 8), out=(8, 2))
  model = lambda params, x: activation(x @ params['w']) @ params['out']
  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  (function,) = recognize.recognize(
    list(found.plan.activations.values())
  ).values()
  assert function.name == 'silu'


def _silu(s):
  return s / (1 + jnp.exp(-s))


def _normed(s):
  return s * jax.lax.rsqrt(jnp.mean(s * s, -1, keepdims=True))


def _unread_statistic(s):
  _ = jnp.mean(s * s)
  return _silu(s)


@pytest.mark.parametrize(
  ('between', 'functions'),
  [
    (lambda s: _normed(_silu(s)), ['silu']),
    (lambda s: _silu(s) * jnp.mean(s * s), ['silu']),
    (lambda s: (_silu(s), jnp.mean(jnp.abs(s))), ['silu']),
    (lambda s: (_silu(s), jnp.mean(_silu(s) ** 2)), ['silu']),
    (_unread_statistic, ['silu']),
    (lambda s: jnp.tanh(s) + jnp.max(3 * jnp.tanh(s)), ['tanh']),
    (
      lambda s: jnp.concatenate([jax.nn.relu(s), _silu(s)], -1)[:, 4:12],
      ['relu', 'silu'],
    ),
    (lambda s: _normed(s), []),
    (lambda s: s * jnp.mean(s * s), []),
  ],
)
def test_an_activation_is_found_beside_a_statistic(between, functions):
  """Of the same signal or of its own result, read or not."""
  init = architectures.draw(w=(8, 8), out=(8, 2))

  def model(params, x):
    found = between(x @ params['w'])
    hidden, *shown = found if isinstance(found, tuple) else (found,)
    return hidden @ params['out'], *shown

  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  named = recognize.recognize(list(found.plan.activations.values()))
  assert sorted(each.name for each in named.values()) == functions


def test_an_unknown_function_has_the_name_of_its_call():
  @jax.jit
  def bump(s):
    return jnp.exp(-jnp.square(s))

  init = architectures.draw(w=(8, 8), out=(8, 2))
  model = lambda params, x: bump(x @ params['w']) @ params['out']
  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  (function,) = recognize.recognize(
    list(found.plan.activations.values())
  ).values()
  assert function.name == 'bump'
  # The steepest slope of exp(-s^2) is sqrt(2 / e), at 1 / sqrt(2); the grid of
  # steps of 0.01 misses it by less than (0.005)^2 |f'''| / 2 < 1e-4.
  assert abs(function.steepest - math.sqrt(2 / math.e)) < 1e-4


@pytest.mark.parametrize(
  ('name', 'roles'),
  [
    ('rnn', {'b': 'bias', 'u': 'weight'}),
    ('gated', {'scale': 'scale', 'layer_scale': 'scale', 'up': 'weight'}),
    ('prelu', {'slope': 'scale'}),
    ('language_model', {'position': 'bias', 'blocks/0/scale1': 'scale'}),
    ('while_loop', {'w': 'other'}),
  ],
)
def test_leaves_have_roles(name, roles):
  _, _, model = places(name)
  found = {model.names[n]: role for n, role in model.plan.roles.items()}
  assert roles.items() <= found.items()


def test_a_leaf_that_nothing_uses_has_no_role():
  init = architectures.draw(w=(8, 4), idle=(3, 3))
  model = lambda params, x: x @ params['w']
  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  assert [found.names[n] for n in found.plan.roles] == ['w']


@pytest.mark.parametrize(
  ('name', 'operation', 'products', 'why'),
  [
    ('while_loop', 'while', 1, 'what is inside is not audited'),
    (
      'custom_rule',
      'custom_vjp_call',
      1,
      'gradients are those of its forward pass, not of its own rule',
    ),
  ],
)
def test_what_is_opaque_is_named(name, operation, products, why):
  (found,) = places(name)[2].opaque
  assert found[::2] == (operation, products) and found.why == why


def test_a_product_with_a_closed_over_array_is_named_beside_the_sites():
  fixed = jax.random.normal(keys.root(1), (8, 8))
  init = architectures.draw(w=(8, 4))
  model = lambda params, x: (x @ fixed) @ params['w']
  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  (opaque,) = found.opaque
  assert opaque.why == 'its weight is not in the params'


def _largest_two(logits):
  return jax.nn.softmax(jax.lax.top_k(logits, 2)[0])


@pytest.mark.parametrize(
  'normalize',
  [
    jax.nn.softmax,
    jax.jit(jax.nn.softmax),
    jax.nn.log_softmax,
    lambda logits: jax.nn.softmax(logits / 3),
    lambda logits: jax.nn.softmax(jnp.where(logits > 0, logits, -1e9)),
    _largest_two,
  ],
)
def test_what_a_softmax_reads_is_logits(normalize):
  init = architectures.draw(router=(8, 4), bias=(1, 4), hidden=(8, 4))

  def model(params, x):
    z = x @ params['hidden']
    logits = x @ params['router'] + params['bias']
    return normalize(logits), jnp.exp(z - jnp.mean(z))

  plan = models.take_apart(init, model, (jnp.ones((2, 8)),)).plan
  (router,) = (s for s in plan.sites.values() if s.leaves == (2,))
  assert plan.logits == {router.number}


def test_a_weight_that_windows_slide_over_is_named():
  init = architectures.draw(image=(1, 1, 6, 6), w=(16, 4))

  def model(params, x):
    slid = jax.lax.conv(params['image'], x, (1, 1), 'VALID')
    return slid.reshape(1, 16) @ params['w']

  found = models.take_apart(init, model, (jnp.ones((1, 1, 3, 3)),))
  (opaque,) = found.opaque
  assert opaque.operation == 'conv_general_dilated'
  assert opaque.why == 'its weight is what the windows slide over'


def test_outer_products_and_scales_are_no_sites():
  """As the decay of a state-space model: nothing is summed over."""
  init = architectures.draw(decay=(8, 3), w=(8, 4))

  def model(params, x):
    spread = jnp.einsum('bd,dn->bdn', x, params['decay'])
    return jnp.sum(spread, -1) @ params['w']

  found = models.take_apart(init, model, (jnp.ones((2, 8)),))
  assert [found.names[s.leaves[0]] for s in found.plan.sites.values()] == ['w']
  assert found.plan.roles[found.names.index('decay')] == 'scale'


def test_what_is_recorded_and_not_returned_is_no_part_of_an_activation():
  """As what a Flax module sows, if nobody asks for it."""

  def model(params, x):
    h = jnp.tanh(x @ params['w'])
    _ = jnp.sqrt(jnp.mean(h * h))
    return h @ params['out']

  init = lambda key: {
    'w': jax.random.normal(keys.at(key, 0), (4, 8)),
    'out': jax.random.normal(keys.at(key, 1), (8, 2)),
  }
  found = models.take_apart(init, model, (jnp.ones((3, 4)),))
  functions = recognize.recognize(list(found.plan.activations.values()))
  assert [each.name for each in functions.values()] == ['tanh']


def test_a_leaf_that_enters_a_site_and_nothing_else_is_known_as_its_weight():
  init = lambda key: {
    'alone': jax.random.normal(keys.at(key, 0), (4, 4)),
    'twice': jax.random.normal(keys.at(key, 1), (4, 4)),
  }

  def model(params, x):
    h = jnp.tanh(x @ params['alone'].T) @ params['twice']
    return h + jnp.sum(params['twice'])

  found = models.take_apart(init, model, (jnp.ones((3, 4)),))
  assert [found.names[leaf] for leaf in found.plan.whole.values()] == ['alone']
