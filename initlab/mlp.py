"""A multilayer perceptron: a tuple of layers, and pure functions on it."""

from collections.abc import Callable, Sequence
import functools
import itertools
import typing

import chex
import jax
import jax.numpy as jnp

from initlab import base, keys, layerwise

# Most adjacent layers of one shape that are unrolled.
_UNROLLED = 16


def init(
  key: base.Key,
  widths: Sequence[int],
  initializer: base.Initializer,
  bias: base.Initializer | None = None,
  dtype: typing.Any = jnp.float32,
  *,
  shift: float | base.Array = 0.0,
) -> base.Params:
  """Draws every layer of a network.

  Layer l draws its weights from `stream(at(key, l), 'w')` and its biases from
  `stream(at(key, l), 'b')`, independently of other layers and of depth.

  Args:
    key: it is consumed.
    widths: `n_0, n_1, ..., n_L`, all at least 1.
    initializer: draws the `[n_in, n_out]` weights of each layer.
    bias: `(key, (n_in, n_out), dtype) -> [n_out]`; zeros if None.
    dtype: of the parameters.
    shift: a constant, possibly traced, added to every bias.

  Returns:
    `L` layers.

  Raises:
    UserError: there are fewer than two widths, or one is not positive.
  """
  if len(widths) < 2 or min(widths) < 1:
    raise base.UserError(
      f'widths {tuple(widths)}: at least two are needed, each at least 1'
    )

  def layer(shape: tuple[int, int], index: base.Array) -> base.Layer:
    layer_key = keys.at(key, index)
    w = initializer(keys.stream(layer_key, 'w'), shape, dtype)
    if bias is None:
      b = jnp.zeros(shape[1:], dtype)
    else:
      b = bias(keys.stream(layer_key, 'b'), shape, dtype)
    return base.Layer(w, b + jnp.asarray(shift, dtype))

  shapes = list(itertools.pairwise(widths))
  indices = list(jnp.arange(1, len(widths), dtype=jnp.uint32))
  return tuple(layerwise.each(layer, indices, static=shapes))


def trace(
  params: base.Params,
  x: base.Array,
  activation: base.Activation,
  taps: Sequence[base.Array] | None = None,
) -> base.Trace:
  """Runs the network and returns the values of every layer.

      s_l = z_{l-1} w_l + b_l,   z_l = f(s_l),   z_0 = x,   z_L = s_L.

  Args:
    params: `L` layers.
    x: `[B, n_0]` inputs.
    activation: f, elementwise.
    taps: `L` arrays `[B, n_l]` added to the pre-activations; zeros if None. The
      gradient of a loss C with respect to them is dC/ds.

  Returns:
    A Trace of `L` layers.
  """
  chex.assert_rank(x, 2)
  added = (None,) * len(params) if taps is None else tuple(taps)
  z, pre, post = x, [], []
  for run in layerwise.runs(params[:-1]):
    stretch = list(zip(params[run], added[run], strict=True))
    climb = _looped if len(stretch) > _UNROLLED else _unrolled
    z, signals = climb(functools.partial(_layer, activation), z, stretch)
    for s, out in signals:
      pre.append(s)
      post.append(out)
  logits, _ = _layer(lambda s: s, z, (params[-1], added[-1]))
  return base.Trace((*pre, logits), (*post, logits))


def _layer(activation, z, layer_and_tap):
  """One layer: its output, and its (pre, post)."""
  (w, b), tap = layer_and_tap
  s = z @ w + jnp.broadcast_to(b, (len(z), len(b)))
  if tap is not None:
    s = s + tap
  z = activation(s)
  return z, (s, z)


def _unrolled(layer, z, stretch):
  """Unrolled layers: the fastest to run."""
  signals = []
  for each in stretch:
    z, signal = layer(z, each)
    signals.append(signal)
  return z, signals


def _looped(layer, z, stretch):
  """The same as a loop, which compiles as fast as a single layer."""
  z, signals = jax.lax.scan(layer, z, layerwise.stack(stretch))
  return z, layerwise.unstack(signals, len(stretch))


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
  """One forward and one backward pass: the input of all probes.

  Args:
    params: `L` layers.
    batch: `B` examples.
    activation: f, elementwise.
    loss: `(logits [K], label []) -> []`, the loss C of one example.

  Returns:
    Signals; gradients are those of each example's own loss, not of the batch
    mean.
  """

  def total(taps: tuple[base.Array, ...]):
    traced = trace(params, batch.x, activation, taps)
    losses = jax.vmap(loss)(traced.post[-1], batch.y)
    return losses.sum(), (traced, losses)

  size = len(batch.x)
  taps = tuple(jnp.zeros((size, len(b)), batch.x.dtype) for _, b in params)
  gradients, (traced, losses) = jax.grad(total, has_aux=True)(taps)
  return base.Signals(batch.x, traced.pre, traced.post, gradients, losses)


def objective(
  activation: base.Activation, loss: base.ExampleLoss
) -> Callable[[base.Params, base.Batch], base.Array]:
  """`(params, batch) -> []`, the mean loss of a batch."""

  def of_batch(params: base.Params, batch: base.Batch) -> base.Array:
    return mean_loss(apply(params, batch.x, activation), batch.y, loss)

  return of_batch


def mean_loss(
  logits: base.Array, y: base.Array, loss: base.ExampleLoss
) -> base.Array:
  """The mean over examples of the loss of logits `[B, K]`."""
  return jnp.mean(jax.vmap(loss)(logits, y))


def evaluate(
  params: base.Params,
  batch: base.Batch,
  activation: base.Activation,
  loss: base.ExampleLoss,
) -> tuple[base.Array, base.Array]:
  """Mean loss, and the share of misclassified examples."""
  return score(apply(params, batch.x, activation), batch.y, loss)


def score(
  logits: base.Array, y: base.Array, loss: base.ExampleLoss
) -> tuple[base.Array, base.Array]:
  """Mean loss of logits `[B, K]`, and the share that is misclassified."""
  wrong = jnp.argmax(logits, axis=-1).astype(jnp.int32) != y
  mean = mean_loss(logits, y, loss)
  return mean, jnp.mean(wrong.astype(mean.dtype))
