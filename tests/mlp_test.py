"""Networks: the draws of each layer, the pass up and the pass down."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, keys, losses, mlp

_WIDTHS = (6, 5, 7, 3)


def _params(widths=_WIDTHS, **kwargs):
  draw = initializers.glorot_uniform()
  return mlp.init(keys.root(1), widths, draw, **kwargs)


def _batch(size=4):
  x = jax.random.normal(keys.root(2), (size, _WIDTHS[0]))
  return base.Batch(x, jnp.arange(size, dtype=jnp.int32) % _WIDTHS[-1])


def test_shapes_and_zero_biases():
  params = _params()
  for layer, n_in, n_out in zip(params, _WIDTHS, _WIDTHS[1:], strict=False):
    chex.assert_shape(layer.w, (n_in, n_out))
    chex.assert_trees_all_equal(layer.b, jnp.zeros(n_out))


def test_a_layer_depends_on_its_own_key_and_shape_only():
  shallow, deep = _params((6, 5, 7)), _params((6, 5, 7, 9, 2))
  chex.assert_trees_all_equal(shallow, deep[:2])
  drawn = initializers.glorot_uniform()(
    keys.stream(keys.at(keys.root(1), 2), 'w'), (5, 7)
  )
  chex.assert_trees_all_equal(shallow[1].w, drawn)


def test_biases_have_their_own_key_and_shift():
  """In wide, narrow, square and repeated layers."""
  bias, widths = initializers.SCHEMES['torch'].bias(), (6, 5, 5, 5, 7, 3)
  params = _params(widths, bias=bias, shift=2.0)
  shapes = itertools.pairwise(widths)
  for index, (layer, shape) in enumerate(zip(params, shapes, strict=True), 1):
    drawn = bias(keys.stream(keys.at(keys.root(1), index), 'b'), shape)
    chex.assert_trees_all_equal(layer.b, drawn + 2.0)


def test_no_two_layers_of_a_deep_network_are_alike():
  """Nor are their biases: 40 layers of one shape are drawn in one loop."""
  bias = initializers.SCHEMES['torch'].bias()
  params = _params((4,) * 41, bias=bias)
  weights, biases = (np.stack(leaves) for leaves in zip(*params, strict=True))
  assert len(np.unique(weights, axis=0)) == 40
  assert len(np.unique(biases, axis=0)) == 40


@pytest.mark.parametrize('widths', [(3,), (), (3, 0), (3, -1, 2)])
def test_refuses_widths_that_make_no_network(widths):
  with pytest.raises(base.UserError, match='widths'):
    _params(widths)


def test_the_trace_is_the_textbook_recursion():
  params, x = _params((6, 5, 5, 3), shift=0.1), _batch().x
  traced = mlp.trace(params, x, jnp.tanh)
  z = np.asarray(x, float)
  for index, (w, b) in enumerate(params):
    s = z @ np.asarray(w, float) + np.asarray(b, float)
    z = s if index == 2 else np.tanh(s)
    np.testing.assert_allclose(traced.pre[index], s, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(traced.post[index], z, rtol=1e-5, atol=1e-6)
  chex.assert_trees_all_equal(mlp.apply(params, x, jnp.tanh), traced.post[-1])


@pytest.mark.slow
def test_gradients_agree_with_central_differences():
  """In double precision: relative difference < 1e-8 at epsilon 1e-4.

  The truncation error is epsilon^2 f'''/6, about 1e-9 of the gradient.
  """
  with jax.enable_x64(True):
    params = jax.tree.map(lambda p: p.astype(jnp.float64), _params())
    batch = _batch(1)
    batch = base.Batch(batch.x.astype(jnp.float64), batch.y)
    signals = jax.jit(
      lambda batch: mlp.signals(params, batch, jnp.tanh, losses.cross_entropy)
    )(batch)
    zeros = [jnp.zeros((1, n), jnp.float64) for n in _WIDTHS[1:]]

    def cost(layer, tap):
      taps = [tap if i == layer else zero for i, zero in enumerate(zeros)]
      logits = mlp.trace(params, batch.x, jnp.tanh, taps).post[-1]
      return losses.cross_entropy(logits[0], batch.y[0])

    cost = jax.jit(cost, static_argnums=0)
    for layer, gradient in enumerate(signals.gradient):
      steps = 1e-4 * jnp.eye(gradient.size)[:, None, :]
      numeric = [cost(layer, h) - cost(layer, -h) for h in steps]
      numeric = jnp.array(numeric) / 2e-4
      difference = jnp.linalg.norm(numeric - gradient[0])
      assert difference / jnp.linalg.norm(numeric + gradient[0]) < 1e-8


@pytest.mark.slow
def test_a_deep_network_is_the_shallow_recursion_continued():
  """Beyond `_UNROLLED` layers of one shape the same recursion is a loop.

  float32 sums of 5 products differ by a few roundings a layer; contracting
  layers do not magnify them.
  """
  widths = (6, *(5,) * 40, 3)
  params = _params(widths, bias=initializers.SCHEMES['torch'].bias())
  batch = _batch()
  deep = jax.jit(
    lambda params: mlp.signals(params, batch, jnp.tanh, losses.cross_entropy)
  )(params)
  params, deep = jax.tree.map(lambda a: np.asarray(a, float), (params, deep))
  z = np.asarray(batch.x, float)
  for index, (w, b) in enumerate(params):
    s = z @ w + b
    z = s if index == 40 else np.tanh(s)
    np.testing.assert_allclose(deep.pre[index], s, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(deep.post[index], z, rtol=1e-4, atol=1e-6)
  odds = np.exp(z)
  gradient = odds / odds.sum(1, keepdims=True) - np.eye(3)[batch.y]
  for index in range(40, -1, -1):
    np.testing.assert_allclose(
      deep.gradient[index], gradient, rtol=1e-3, atol=1e-7
    )
    if index:
      slope = 1 - deep.post[index - 1] ** 2
      gradient = slope * (gradient @ params[index].w.T)


def test_signals_are_per_example():
  params, batch = _params(), _batch()
  signals = jax.jit(
    lambda batch: mlp.signals(params, batch, jnp.tanh, losses.cross_entropy)
  )
  whole = signals(batch)
  for i in range(len(batch.x)):
    one = jax.tree.map(lambda a, i=i: a[i : i + 1], batch)
    alone = signals(one)
    part = jax.tree.map(lambda a, i=i: a[i : i + 1], whole)
    chex.assert_trees_all_close(part, alone, rtol=1e-5, atol=1e-6)


def test_parameter_gradients_follow_from_signals():
  """dC/dw_l = z_{l-1}^T dC/ds_l and dC/db_l = sum dC/ds_l: eq. 3."""
  params, batch = _params(), _batch()

  def cost(params):
    logits = mlp.apply(params, batch.x, jnp.tanh)
    return jax.vmap(losses.cross_entropy)(logits, batch.y).sum()

  signals = mlp.signals(params, batch, jnp.tanh, losses.cross_entropy)
  below = (signals.x, *signals.post[:-1])
  expected = tuple(
    base.Layer(z.T @ g, g.sum(0))
    for z, g in zip(below, signals.gradient, strict=True)
  )
  chex.assert_trees_all_close(
    jax.grad(cost)(params), expected, rtol=1e-5, atol=1e-6
  )


def test_error_is_the_share_of_wrong_labels():
  params = (base.Layer(jnp.eye(3), jnp.zeros(3)),)
  x = jnp.eye(3)[jnp.array([0, 1, 2, 0])]
  y = jnp.array([0, 1, 0, 0], jnp.int32)
  cost, error = mlp.evaluate(
    params, base.Batch(x, y), jnp.tanh, losses.cross_entropy
  )
  assert float(error) == 0.25
  # Three of cost log(e + 2) - 1, one of log(e + 2); float32 rounding.
  np.testing.assert_allclose(cost, np.log(np.e + 2) - 0.75, rtol=1e-6)
