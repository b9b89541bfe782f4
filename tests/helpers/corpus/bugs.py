"""Fourteen silent initialization bugs that shipped, re-made, broken and mended.

Each was found in public code and is named by its repository and number. What is
kept is the mistake: which leaf, and by what factor its standard deviation is
wrong. The models are as small as that mistake allows.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tests.helpers.corpus import parts
from tests.helpers.corpus.parts import Model, normal


class Bug(NamedTuple):
  """A mistake, and what a verdict must say of it.

  source: repository and number of the issue or pull request.
  broken, mended: the model before and after its repair.
  leaves: patterns of the leaves that are wrong, and of no others.
  factor: of their standard deviation to the right one; 0 where they are zero
    and may not be, NaN where a few entries are wrong.
  expect: laws that the authors had declared, where only those tell.
  """

  source: str
  broken: Model
  mended: Model
  leaves: tuple[str, ...]
  factor: float
  expect: dict[str, str] | None = None


def _gpt2(name, depth_scale):
  return 0.02 * (depth_scale if name in ('attn_out', 'down') else 1)


def gpt2():
  """The test on the names of residual outputs never holds: no depth scaling."""
  scale = 1 / math.sqrt(2 * 8)
  return Bug(
    'huggingface/transformers#47458',
    parts.decoder(lambda name: 0.02),
    parts.decoder(lambda name: _gpt2(name, scale)),
    ('blocks/attn_out/kernel', 'blocks/down/kernel'),
    1 / scale,
    {
      'blocks/attn_out/kernel': 'normal(.02/sqrt(16))',
      'blocks/down/kernel': 'normal(.02/sqrt(2*L))',
    },
  )


def swiglu():
  """Depth scaling of the up-projection w3, too, which writes to no stream."""
  scale = 1 / math.sqrt(2 * 8)

  def std(scaled):
    return lambda name: 0.02 * (scale if name in scaled else 1)

  return Bug(
    'pytorch/torchtitan#3334',
    parts.llama(std(('wo', 'w2', 'w3'))),
    parts.llama(std(('wo', 'w2'))),
    ('blocks/w3/kernel',),
    scale,
  )


def layer_norm_scaling():
  """Allocating the model anew erases 1 / sqrt(layer) on the norms' outputs."""
  layers, d, hidden = 6, 32, 128

  def model(scales):
    def init(key):
      return {
        'ln_scale': scales,
        'up': {'kernel': normal(key, 'up', (layers, d, hidden), d**-0.5)},
        'down': {
          'kernel': normal(key, 'down', (layers, hidden, d), hidden**-0.5)
        },
        'readout': {'kernel': normal(key, 'readout', (d, 10), d**-0.5)},
      }

    def block(x, p):
      h = parts.layer_norm(x) * p['ln_scale']
      h = jax.nn.gelu(h @ p['up']['kernel'])
      return x + h @ p['down']['kernel'], None

    def apply(params, x):
      params = dict(params)
      readout = params.pop('readout')['kernel']
      x, _ = jax.lax.scan(block, x, params)
      return parts.layer_norm(x) @ readout

    return Model(init, apply, (parts.inputs(16, d),))

  depth = jnp.arange(1, layers + 1, dtype=jnp.float32)
  return Bug(
    'allenai/OLMo-core#698',
    model(jnp.zeros(layers)),
    model(depth**-0.5),
    ('ln_scale',),
    0.0,
  )


def layer_scale():
  """Resetting the parameters sets gamma to one whatever its declared value."""
  layers, d, hidden = 4, 32, 128

  def model(value):
    def init(key):
      shapes = {'up': (d, hidden), 'down': (hidden, d), 'readout': (d, 10)}
      params = {
        f'{name}_{layer}': {
          'kernel': normal(key, f'{name}_{layer}', shape, shape[0] ** -0.5)
        }
        for layer in range(layers)
        for name, shape in shapes.items()
        if name != 'readout' or layer == 0
      }
      gammas = {
        f'ls_{layer}': {'gamma': jnp.full(d, value)} for layer in range(layers)
      }
      return params | gammas

    def apply(params, x):
      for layer in range(layers):
        h = parts.layer_norm(x) @ params[f'up_{layer}']['kernel']
        h = jax.nn.gelu(h) @ params[f'down_{layer}']['kernel']
        x = x + params[f'ls_{layer}']['gamma'] * h
      return parts.layer_norm(x) @ params['readout_0']['kernel']

    return Model(init, apply, (parts.inputs(16, d),))

  return Bug(
    'huggingface/pytorch-image-models#2605',
    model(1.0),
    model(1e-5),
    ('ls_*/gamma',),
    1e5,
    {'*/gamma': 'constant(1e-5)'},
  )


def embedding():
  """The embedding of an abandoned ablation, of standard deviation 0.6."""
  return Bug(
    'lmsdss/LayerNorm-Scaling#6',
    parts.llama(lambda name: 0.6 if name == 'embed' else 0.02),
    parts.llama(lambda name: 0.02),
    ('embed/table',),
    30.0,
  )


def twice_scaled():
  """The feed-forward output is divided by sqrt(2 L) a second time."""
  scale = 1 / math.sqrt(2 * 8)

  def broken(name):
    return _gpt2(name, scale) * (scale if name == 'down' else 1)

  return Bug(
    'allenai/OLMo#607',
    parts.decoder(broken),
    parts.decoder(lambda name: _gpt2(name, scale)),
    ('blocks/down/kernel',),
    scale,
  )


def mup():
  """Hidden weights are divided by the width's multiple m, not by sqrt(m)."""
  base, multiple = 4, 16
  width = base * multiple

  def model(power):
    def std(layer, n_in, n_out):
      hidden = layer not in (0, 4)
      return base**-0.5 * multiple**-power if hidden else n_in**-0.5

    return parts.mlp((8, *[width] * 4, 4), std, jnp.tanh)

  return Bug(
    'EleutherAI/gpt-neox#1087',
    model(1),
    model(0.5),
    ('layer_[123]/kernel',),
    multiple**-0.5,
  )


def head_fan():
  """Queries, keys and values take the head's width for their fan-in."""
  size = parts.Size(layers=4, d=64, heads=8, hidden=256)

  def std(qkv):
    def std(name):
      if name in ('embed', 'position'):
        return 1.0
      if name in ('q', 'k', 'v'):
        return qkv**-0.5
      return (size.hidden if name == 'down' else size.d) ** -0.5

    return std

  return Bug(
    'clankur/einygpt#3',
    parts.decoder(std(size.head), size),
    parts.decoder(std(size.d), size),
    ('blocks/[qkv]/kernel',),
    (size.d / size.head) ** 0.5,
  )


def einsum_fan():
  """A kernel `[d, heads, head]` is taken for a convolution's of d positions."""
  size = parts.Size(layers=4, d=64, heads=4, hidden=256)
  d, heads, head = size.d, size.heads, size.head
  fans = {
    'q': (d, d),
    'k': (d, d),
    'v': (d, d),
    'attn_out': (d, d),
    'up': (d, size.hidden),
    'down': (size.hidden, d),
    'readout': (d, size.vocabulary),
  }
  wrong = dict.fromkeys('qkv', (d * heads, d * head))
  wrong['attn_out'] = (heads * head, heads * d)

  def std(fans):
    def std(name):
      if name in ('embed', 'position'):
        return 1.0
      return (2 / sum(fans[name])) ** 0.5

    return std

  return Bug(
    'keras-team/keras#22789',
    parts.decoder(std(fans | wrong), size),
    parts.decoder(std(fans), size),
    ('blocks/[qkv]/kernel',),
    (2 / (heads + head)) ** 0.5,
  )


def packed():
  """Queries, keys and values in one kernel: its fan-out counts all three."""
  d, layers = 32, 2

  def model(n_out):
    def init(key):
      limits = {'in_proj': (d, 3 * d, n_out), 'out': (d, d, d)}
      return {
        f'attn_{layer}': {
          name: {
            'kernel': parts.uniform(
              key,
              f'{name}_{layer}',
              (n_in, columns),
              math.sqrt(6 / (n_in + fan_out)),
            )
          }
          for name, (n_in, columns, fan_out) in limits.items()
        }
        for layer in range(layers)
      }

    def apply(params, x):
      for layer in range(layers):
        p = params[f'attn_{layer}']
        h = parts.layer_norm(x) @ p['in_proj']['kernel']
        q, k, v = (
          part.reshape(*part.shape[:-1], 4, d // 4)
          for part in jnp.split(h, 3, -1)
        )
        h = parts.attend(q, k, v, causal=False).reshape(x.shape)
        x = x + h @ p['out']['kernel']
      return x

    return Model(init, apply, (parts.inputs(4, 8, d),))

  return Bug(
    'pytorch/pytorch#166378',
    model(3 * d),
    model(d),
    ('attn_*/in_proj/kernel',),
    0.5**0.5,
    {'*/in_proj/kernel': 'uniform(sqrt(6/(n_in+n_out/3)))'},
  )


def symmetric():
  """A symmetric layer's kernel `[features, sites]`, its features the fan-in."""
  sites, features, hidden = 64, 4, 32

  def model(fan_in):
    def init(key):
      return {
        'symmetric': {
          'kernel': normal(key, 'symmetric', (features, sites), fan_in**-0.5)
        },
        'dense_1': {
          'kernel': normal(key, 'dense_1', (features, hidden), features**-0.5)
        },
        'dense_2': {
          'kernel': normal(key, 'dense_2', (hidden, hidden), hidden**-0.5)
        },
        'dense_3': {
          'kernel': normal(key, 'dense_3', (hidden, 1), hidden**-0.5)
        },
      }

    def apply(params, x):
      shifts = (jnp.arange(sites)[:, None] + jnp.arange(sites)) % sites
      kernel = params['symmetric']['kernel'][:, shifts]
      x = jax.nn.selu(jnp.einsum('bs,fgs->bgf', x, kernel))
      x = jax.nn.selu(x @ params['dense_1']['kernel'])
      x = jax.nn.selu(x @ params['dense_2']['kernel'])
      return (x @ params['dense_3']['kernel']).mean((1, 2))

    spins = jnp.sign(parts.inputs(8, sites))
    return Model(init, apply, (spins,))

  return Bug(
    'netket/netket#870',
    model(features),
    model(sites),
    ('symmetric/kernel',),
    (sites / features) ** 0.5,
  )


def summed_shape():
  """Glorot's fans as the sum of a convolution kernel's shape."""
  channels, layers = 16, 3

  def model(variance):
    def init(key):
      params = {
        f'conv_{layer}': {
          'kernel': normal(
            key,
            f'conv_{layer}',
            shape,
            variance(shape) ** 0.5,
          )
        }
        for layer in range(layers)
        for shape in [(3, 3, channels if layer else 4, channels)]
      }
      dense = {'policy': (16 * channels, 64), 'value': (64, 3)}
      return params | {
        name: {'kernel': normal(key, name, s, (2 / sum(s)) ** 0.5)}
        for name, s in dense.items()
      }

    def apply(params, x):
      for layer in range(layers):
        x = parts.convolve(x, params[f'conv_{layer}']['kernel'])
        x = jax.nn.relu(parts.batch_norm(x))
      x = x.reshape(len(x), -1) @ params['policy']['kernel']
      return jax.nn.relu(x) @ params['value']['kernel']

    return Model(init, apply, (parts.inputs(8, 4, 4, 4),))

  return Bug(
    'LeelaChessZero/lczero-training#43',
    model(lambda shape: 2 / sum(shape)),
    model(lambda shape: 2 / (9 * sum(shape[2:]))),
    ('conv_*/kernel',),
    math.sqrt(9 * 2 * channels / (6 + 2 * channels)),
  )


def overwritten():
  """The chosen initialization is replaced by the base class's."""
  d = parts.Size().d
  small = math.sqrt(2 / (5 * d))
  depth = 1 / math.sqrt(2 * 8)

  def chosen(name):
    return small * (depth if name in ('attn_out', 'down') else 1)

  return Bug(
    'AnswerDotAI/ModernBERT#84',
    parts.decoder(lambda name: 0.02),
    parts.decoder(chosen),
    ('blocks/*/kernel',),
    0.02 / small,
    {
      'blocks/[qkvu]*/kernel': f'normal(sqrt(2/(5*{d})))',
      'blocks/attn_out/kernel': f'normal(sqrt(2/(5*{d}))/sqrt(16))',
      'blocks/down/kernel': f'normal(sqrt(2/(5*{d}))/sqrt(16))',
    },
  )


def convex():
  """An input convex network's weights, of 0.1 whatever their fan-in."""
  width, layers, n = 512, 7, 4

  def model(std):
    def init(key):
      params = {
        f'w_x_{layer}': {
          'kernel': normal(key, f'w_x_{layer}', (n, width), std(n))
        }
        for layer in range(layers)
      }
      hidden = {
        f'w_z_{layer}': {
          'kernel': normal(key, f'w_z_{layer}', (width, width), std(width))
        }
        for layer in range(1, layers)
      }
      last = {
        'w_z_last': {'kernel': normal(key, 'last', (width, 1), std(width))}
      }
      return params | hidden | last

    def apply(params, x):
      z = jax.nn.leaky_relu(x @ params['w_x_0']['kernel'], 0.2)
      for layer in range(1, layers):
        z = z @ params[f'w_z_{layer}']['kernel']
        z = jax.nn.leaky_relu(z + x @ params[f'w_x_{layer}']['kernel'], 0.2)
      return z @ params['w_z_last']['kernel']

    return Model(init, apply, (parts.inputs(4, n),))

  return Bug(
    'ott-jax/ott#551',
    model(lambda n_in: 0.1),
    model(lambda n_in: n_in**-0.5),
    ('w_z_*/kernel',),
    0.1 * width**0.5,
    {'w_z_*/kernel': 'normal(1/sqrt(n_in))'},
  )


BUGS = {
  bug.__name__: bug
  for bug in (
    gpt2,
    swiglu,
    layer_norm_scaling,
    layer_scale,
    embedding,
    twice_scaled,
    mup,
    head_fan,
    einsum_fan,
    packed,
    symmetric,
    summed_shape,
    overwritten,
    convex,
  )
}
