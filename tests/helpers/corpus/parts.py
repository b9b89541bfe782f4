"""Pieces of plain-JAX models: small enough to read, large enough to measure."""

from collections.abc import Callable
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import keys


class Model(NamedTuple):
  """A model as an audit takes it.

  init: key -> params.
  apply: `(params, *batch) -> array`, an output or a scalar loss.
  batch: the arrays after params.
  """

  init: Callable[..., Any]
  apply: Callable[..., Any]
  batch: tuple[Any, ...]


def normal(key, name, shape, std):
  """Draws of the leaf of that name."""
  return std * jax.random.normal(keys.stream(key, name), shape)


def uniform(key, name, shape, limit):
  return jax.random.uniform(
    keys.stream(key, name), shape, minval=-limit, maxval=limit
  )


def inputs(*shape):
  """Standard normal data, the same in every test."""
  draws = np.random.default_rng(0).standard_normal(shape)
  return jnp.asarray(draws, jnp.float32)


def tokens(vocabulary, *shape):
  draws = np.random.default_rng(1).integers(0, vocabulary, shape)
  return jnp.asarray(draws, jnp.int32)


def cross_entropy(logits, labels):
  """The mean loss in nats."""
  log_p = jax.nn.log_softmax(logits)
  return -jnp.mean(jnp.take_along_axis(log_p, labels[..., None], -1))


def layer_norm(x, scale=1.0):
  x = x - x.mean(-1, keepdims=True)
  return scale * x * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)


def rms_norm(x, scale=1.0):
  return scale * x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def batch_norm(x, scale=1.0):
  """Over examples and positions, as in training."""
  axes = tuple(range(x.ndim - 1))
  x = x - x.mean(axes)
  return scale * x * jax.lax.rsqrt(x.var(axes) + 1e-5)


def attend(q, k, v, causal=True):
  """`[B, T, heads, d]` of each -> the same shape."""
  scores = jnp.einsum('bthd,bshd->bhts', q, k) * q.shape[-1] ** -0.5
  if causal:
    ahead = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    scores = jnp.where(ahead, scores, -1e9)
  return jnp.einsum('bhts,bshd->bthd', jax.nn.softmax(scores), v)


def convolve(x, w, stride=1, groups=1):
  """`[B, H, W, C]` with a kernel `[h, w, in, out]`, padded."""
  return jax.lax.conv_general_dilated(
    x,
    w,
    (stride, stride),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )


def mlp(widths, std, activation, batch=8, bias=None):
  """`[B, n_0]` -> `[B, n_L]`; std: `(layer, n_in, n_out) -> float`."""
  last = len(widths) - 2

  def init(key):
    params = {}
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
      name = f'layer_{layer}'
      kernel = normal(key, name, (n_in, n_out), std(layer, n_in, n_out))
      params[name] = {'kernel': kernel, 'bias': jnp.zeros(n_out)}
      if bias is not None:
        params[name]['bias'] = bias(key, name + '/bias', n_in, n_out)
    return params

  def apply(params, x):
    for layer in range(last + 1):
      each = params[f'layer_{layer}']
      x = x @ each['kernel'] + each['bias']
      x = x if layer == last else activation(x)
    return x

  return Model(init, apply, (inputs(batch, widths[0]),))


class Size(NamedTuple):
  """Of a decoder: widths, and how long its data are."""

  layers: int = 8
  d: int = 32
  heads: int = 4
  hidden: int = 128
  vocabulary: int = 40
  length: int = 8
  batch: int = 4

  @property
  def head(self):
    return self.d // self.heads


SMALL = Size()


def decoder(std, size=SMALL, norm=layer_norm):
  """A pre-norm language model, its layers in a scan; params to loss.

  std: leaf's name -> standard deviation, of 'embed', 'position', 'q', 'k', 'v',
    'attn_out', 'up', 'down' and 'readout'.
  """
  layers, d, heads = size.layers, size.d, size.heads
  shapes = {
    'q': (d, heads, size.head),
    'k': (d, heads, size.head),
    'v': (d, heads, size.head),
    'attn_out': (heads, size.head, d),
    'up': (d, size.hidden),
    'down': (size.hidden, d),
  }

  def init(key):
    blocks = {
      name: {'kernel': normal(key, name, (layers, *shape), std(name))}
      for name, shape in shapes.items()
    }
    norms = {
      name: {'scale': jnp.ones((layers, d))} for name in ('ln_1', 'ln_2')
    }
    table = (size.vocabulary, d)
    place = (size.length, d)
    return {
      'embed': {'table': normal(key, 'embed', table, std('embed'))},
      'position': {'table': normal(key, 'position', place, std('position'))},
      'blocks': blocks | norms,
      'readout': {
        'kernel': normal(key, 'readout', table[::-1], std('readout'))
      },
    }

  def block(x, p):
    h = norm(x, p['ln_1']['scale'])
    q, k, v = (jnp.einsum('btd,dhk->bthk', h, p[n]['kernel']) for n in 'qkv')
    h = attend(q, k, v)
    x = x + jnp.einsum('bthk,hkd->btd', h, p['attn_out']['kernel'])
    h = norm(x, p['ln_2']['scale'])
    h = jax.nn.gelu(h @ p['up']['kernel'])
    return x + h @ p['down']['kernel'], None

  def loss(params, text, labels):
    x = params['embed']['table'][text] + params['position']['table']
    x, _ = jax.lax.scan(block, x, params['blocks'])
    return cross_entropy(norm(x) @ params['readout']['kernel'], labels)

  text = tokens(size.vocabulary, size.batch, size.length + 1)
  return Model(init, loss, (text[:, :-1], text[:, 1:]))


SWIGLU = Size(hidden=96)


def llama(std, size=SWIGLU):
  """RMSNorm and SwiGLU: silu(w1 x) * w3 x, then w2; layers in a scan."""
  layers, d, hidden = size.layers, size.d, size.hidden
  shapes = dict.fromkeys(('wq', 'wk', 'wv', 'wo'), (d, d))
  shapes |= {'w1': (d, hidden), 'w3': (d, hidden), 'w2': (hidden, d)}

  def init(key):
    blocks = {
      name: {'kernel': normal(key, name, (layers, *shape), std(name))}
      for name, shape in shapes.items()
    }
    norms = {
      name: {'scale': jnp.ones((layers, d))} for name in ('ln_1', 'ln_2')
    }
    table = (size.vocabulary, d)
    return {
      'embed': {'table': normal(key, 'embed', table, std('embed'))},
      'blocks': blocks | norms,
      'readout': {
        'kernel': normal(key, 'readout', table[::-1], std('readout'))
      },
    }

  def block(x, p):
    h = rms_norm(x, p['ln_1']['scale'])
    split = (*h.shape[:-1], size.heads, size.head)
    q, k, v = ((h @ p[n]['kernel']).reshape(split) for n in ('wq', 'wk', 'wv'))
    x = x + attend(q, k, v).reshape(h.shape) @ p['wo']['kernel']
    h = rms_norm(x, p['ln_2']['scale'])
    h = jax.nn.silu(h @ p['w1']['kernel']) * (h @ p['w3']['kernel'])
    return x + h @ p['w2']['kernel'], None

  def loss(params, text, labels):
    x = params['embed']['table'][text]
    x, _ = jax.lax.scan(jax.checkpoint(block), x, params['blocks'])
    return cross_entropy(rms_norm(x) @ params['readout']['kernel'], labels)

  text = tokens(size.vocabulary, size.batch, size.length + 1)
  return Model(init, loss, (text[:, :-1], text[:, 1:]))
