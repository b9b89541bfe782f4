"""A multilayer perceptron: a tuple of layers, and pure functions on it."""

from collections.abc import Sequence
import itertools
import typing

import chex
import jax
import jax.numpy as jnp

from initlab import base, keys


def init(
  key: base.Key,
  widths: Sequence[int],
  initializer: base.Initializer,
  bias: base.Initializer | None = None,
  dtype: typing.Any = jnp.float32,
  *,
  shift: float = 0.0,
) -> base.Params:
  """Draws every layer of a network.

  Layer l takes its weights from `stream(at(key, l), 'w')` and its biases from
  `stream(at(key, l), 'b')`: neither depends on the other layers, nor on depth.

  Args:
    key: the key is consumed.
    widths: `n_0, n_1, ..., n_L`, all at least 1.
    initializer: draws the `[n_in, n_out]` weights of each layer.
    bias: `(key, (n_in, n_out), dtype) -> [n_out]`; zeros if None.
    dtype: of the parameters.
    shift: a constant that is added to every bias.

  Returns:
    `L` layers.

  Raises:
    UserError: fewer than two widths, or one that is not positive.
  """
  if len(widths) < 2 or min(widths) < 1:
    raise base.UserError(
      f'widths {tuple(widths)}: needs an input and an output, each at least 1'
    )
  layers = []
  for index, shape in enumerate(itertools.pairwise(widths), 1):
    layer_key = keys.at(key, index)
    w = initializer(keys.stream(layer_key, 'w'), shape, dtype)
    if bias is None:
      b = jnp.zeros(shape[1:], dtype)
    else:
      b = bias(keys.stream(layer_key, 'b'), shape, dtype)
    layers.append(base.Layer(w, b + jnp.asarray(shift, dtype)))
  return tuple(layers)


def trace(
  params: base.Params,
  x: base.Array,
  activation: base.Activation,
  taps: Sequence[base.Array] | None = None,
) -> base.Trace:
  """Runs the network and keeps every layer.

      s_l = z_{l-1} w_l + b_l,   z_l = f(s_l),   z_0 = x,   z_L = s_L.

  Args:
    params: `L` layers.
    x: `[B, n_0]` inputs.
    activation: f, elementwise.
    taps: `L` arrays `[B, n_l]` added to the pre-activations; zeros if None. The
      gradient of a cost with respect to them is dC/ds.

  Returns:
    A Trace of `L` layers.
  """
  chex.assert_rank(x, 2)
  pre, post, z = [], [], x
  for index, (w, b) in enumerate(params):
    s = z @ w + jnp.broadcast_to(b, (len(z), len(b)))
    if taps is not None:
      s = s + taps[index]
    z = s if index == len(params) - 1 else activation(s)
    pre.append(s)
    post.append(z)
  return base.Trace(tuple(pre), tuple(post))


def apply(
  params: base.Params, x: base.Array, activation: base.Activation
) -> base.Array:
  """The network's output, `[B, n_L]` logits: the last entry of its trace."""
  return trace(params, x, activation).post[-1]


def signals(
  params: base.Params,
  batch: base.Batch,
  activation: base.Activation,
  loss: base.ExampleLoss,
) -> base.Signals:
  """One pass up and one down: all that a probe looks at.

  Args:
    params: `L` layers.
    batch: `B` examples.
    activation: f, elementwise.
    loss: `(logits [K], label []) -> []`, the cost C of one example.

  Returns:
    Signals; its gradients are those of each example's own cost, not of a mean
    over the batch.
  """

  def cost(taps: tuple[base.Array, ...]):
    traced = trace(params, batch.x, activation, taps)
    losses = jax.vmap(loss)(traced.post[-1], batch.y)
    return losses.sum(), (traced, losses)

  size = len(batch.x)
  taps = tuple(jnp.zeros((size, len(b)), batch.x.dtype) for _, b in params)
  gradients, (traced, losses) = jax.grad(cost, has_aux=True)(taps)
  return base.Signals(batch.x, traced.pre, traced.post, gradients, losses)
