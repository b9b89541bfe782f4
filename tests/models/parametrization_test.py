"""Parametrizations: the papers' tables, and a training in another form."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab import base, keys
from initlab.models import parametrization
from initlab.models.parametrization import Rule


def _signs(key, **leaves):
  """Leaves of random signs, `name=(shape, std)`, from one draw: cheap."""
  sizes = [math.prod(shape) for shape, _ in leaves.values()]
  signs = jnp.where(jax.random.bits(key, (sum(sizes),)) % 2 == 0, 1.0, -1.0)
  parts = jnp.split(signs, np.cumsum(sizes)[:-1])
  return {
    name: std * part.reshape(shape)
    for part, (name, (shape, std)) in zip(parts, leaves.items(), strict=True)
  }


def _make(n, *, multiplier=1.0, std=None):
  """An input, heads of attention's layout, a stack, a readout; ReLU."""
  std = std or (lambda n_in: n_in**-0.5)

  def init(key):
    drawn = _signs(
      key,
      first=((3, n), 0.5),
      heads=((n, 2, n), std(n)),
      stack=((2, 2 * n, 2 * n), std(2 * n)),
      last=((2, 2 * n), std(2 * n)),
    )
    return {
      'in': {'w': drawn['first'], 'b': jnp.zeros(n)},
      'heads': drawn['heads'],
      'stack': drawn['stack'],
      'out': {'w': drawn['last'], 'b': jnp.ones(2)},
    }

  def loss(params, x, y):
    x = jax.nn.relu(x @ params['in']['w'] + params['in']['b'][None])
    x = jnp.einsum('bn,nhd->bhd', x, params['heads']).reshape(len(x), -1)
    layer = lambda x, w: (jax.nn.relu(x @ w), None)
    x, _ = jax.lax.scan(layer, x, params['stack'])
    x = multiplier * (x @ params['out']['w'].T) + params['out']['b'][None]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(x, y))

  rng = np.random.default_rng(0)
  return init, loss, (np.float32(rng.standard_normal((4, 3))), np.arange(4) % 2)


# Tensor Programs V, table 3, at four times the base width; the model's own
# draws are of standard parametrization, Var[w] ~ 1 / n_in.
_ADAM = {
  'in': {
    'w': Rule('input', 1, 1, 1, 1 / 4),
    'b': Rule('input', 1, 1, 1, 1 / 4),
  },
  'heads': Rule('hidden', 1, 1 / 4, 4, 1 / 4),
  'stack': Rule('hidden', 1, 1 / 4, 4, 1 / 4),
  'out': {'w': Rule('output', 1 / 2, 1 / 4, 4, 1), 'b': Rule('fixed')},
}
_SGD_RATES = {
  'in': {'w': 4, 'b': 4},
  'heads': 1,
  'stack': 1,
  'out': {'w': 1 / 4, 'b': 1},
}


@functools.cache
def _rules(optimizer):
  return parametrization.mup(_make, 32, 8, optimizer=optimizer)


def test_mup_is_table_3():
  assert _rules('adam') == _ADAM


def test_with_sgd_only_rates_differ():
  rates = jax.tree.map(lambda rule: rule.learning_rate, _rules('sgd'))
  assert rates == _SGD_RATES
  same = lambda rule, rate: dataclasses.replace(rule, learning_rate=rate)
  assert jax.tree.map(same, _ADAM, _SGD_RATES) == _rules('sgd')


def test_a_fixed_standard_deviation_is_made_to_fall():
  fixed = functools.partial(_make, std=lambda n_in: 0.02)
  rules = parametrization.mup(fixed, 32, 8)
  assert rules['heads'].init == rules['stack'].init == 4**-0.5
  assert rules['out']['w'].init == 1 / 4
  assert rules['in']['w'].init == 1


def test_another_law_is_refused():
  strange = functools.partial(_make, std=lambda n_in: 1 / n_in)
  with pytest.raises(base.UserError, match=r'heads.*factor of 0\.2\d+ with'):
    parametrization.mup(strange, 32, 8)


def test_models_with_other_leaves_are_refused():
  def make(n):
    init, loss, batch = _make(n)
    return (lambda key: {**init(key), f'{n}': jnp.ones(1)}), loss, batch

  with pytest.raises(base.UserError, match='different leaves'):
    parametrization.mup(make, 32, 8)


def test_a_tied_embedding_is_refused():
  def make(n):
    init = lambda key: _signs(key, embedding=((5, n), 1.0))
    logits = lambda w, tokens: w[tokens] @ w.T
    return (
      init,
      lambda p, x: jnp.sum(logits(p['embedding'], x)),
      (jnp.ones(2, int),),
    )

  with pytest.raises(base.UserError, match=r'embedding.*several ways'):
    parametrization.mup(make, 16, 8)


def _losses(loss, batch, params, optimizer):
  """Of some steps."""

  def step(carry, _):
    params, state = carry
    value, gradient = jax.value_and_grad(loss)(params, *batch)
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(gradient, state, params)
    return (optax.apply_updates(params, updates), state), value

  start = (params, optimizer.init(params))
  return jax.jit(lambda: jax.lax.scan(step, start, length=5)[1])()


@pytest.mark.slow
@pytest.mark.parametrize(
  ('optimizer', 'rate', 'make'),
  [
    ('sgd', 4.0, lambda rule: optax.sgd(0.1 * rule.learning_rate)),
    (
      'adam',
      1.0,
      lambda rule: optax.adam(0.01 * rule.learning_rate, eps=1e-30),
    ),
  ],
)
def test_trains_as_the_form_of_table_8(optimizer, rate, make):
  """There the readout is W / r_in of weights W that do not shrink with r_in.

  Their rate is r_in with SGD and 1 with Adam.
  """
  rules = _rules(optimizer)
  init, loss, batch = _make(32)
  params = parametrization.rescale(init(keys.root(0)), rules)
  table_3 = _losses(loss, batch, params, parametrization.optimizer(make, rules))
  rules = {**rules, 'out': {**rules['out'], 'w': Rule('output', 1.0, rate)}}
  params['out']['w'] *= 4
  _, loss, _ = _make(32, multiplier=1 / 4)
  table_8 = _losses(loss, batch, params, parametrization.optimizer(make, rules))
  assert table_3[-1] < 0.9 * table_3[0]
  # Powers of two scale without rounding; 1e-5 is a hundred roundings.
  np.testing.assert_allclose(table_3, table_8, rtol=1e-5)


def _deep(n, depth, *, stacked):
  def init(key):
    params = _signs(
      key,
      first=((3, n), 1.0),
      last=((n, 1), n**-0.5),
      blocks=((depth, n, n), n**-0.5),
    )
    return params if stacked else {**params, 'blocks': list(params['blocks'])}

  def loss(params, x):
    x = x @ params['first']
    for index in range(depth):
      x = x + jnp.tanh(x) @ params['blocks'][index] / depth
    return jnp.sum(x @ params['last'])

  return init, loss, (jnp.ones((2, 3)),)


@pytest.mark.parametrize('stacked', [True, False])
@pytest.mark.parametrize(
  # Dey et al. 2025, table 1: rate r_in^-1 L^(a - 1), epsilon r^-1 L^-a.
  ('exponent', 'rate', 'epsilon'),
  [(1.0, 1 / 4, 1 / 16), (0.5, 1 / 8, 1 / 8)],
)
def test_complete_p_is_table_1(stacked, exponent, rate, epsilon):
  make = functools.partial(_deep, stacked=stacked)
  rules = parametrization.complete_p(make, (32, 4), (8, 1), exponent=exponent)
  block = Rule('hidden', 1, rate, 4, epsilon)
  assert rules == {
    'first': Rule('input', 1, 1, 1, 1 / 4),
    'last': Rule('output', 1 / 2, 1 / 4, 4, 1),
    'blocks': block if stacked else [block] * 4,
  }
  assert parametrization.branch((32, 4), (8, 1), exponent) == 4**-exponent


def test_the_base_model_is_left_as_it_is():
  rules = parametrization.mup(_make, 8, 8)
  assert set(jax.tree.leaves(rules)) == {Rule('fixed')}
  assert parametrization.standard(_make, 8) == rules


def test_every_kind_has_its_optimizer():
  rules = {'a': Rule('hidden', learning_rate=0.5), 'b': Rule('input')}
  optimizer = parametrization.optimizer(
    lambda rule: optax.sgd(rule.learning_rate), rules
  )
  params = {'a': jnp.ones(2), 'b': jnp.ones(2)}
  updates, _ = optimizer.update(params, optimizer.init(params), params)
  np.testing.assert_array_equal(updates['a'], -0.5)
  np.testing.assert_array_equal(updates['b'], -1)
