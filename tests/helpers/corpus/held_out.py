"""Bugs and healthy models that no limit of the verdict was chosen with.

They were written after the limits; `docs/verdict.md` says what came of it.
"""

import itertools
import math

import jax
import jax.numpy as jnp

from initlab import keys
from tests.helpers.corpus import parts
from tests.helpers.corpus.bugs import Bug
from tests.helpers.corpus.parts import Model, normal


def depthwise():
  """The fan-out of a depthwise convolution counts all channels."""
  d, layers = 32, 3

  def model(depthwise_fan):
    def init(key):
      params = {'stem': normal(key, 'stem', (3, 3, 3, d), (2 / (9 * d)) ** 0.5)}
      for i in range(layers):
        params[f'depthwise_{i}'] = normal(
          key, f'depthwise_{i}', (3, 3, 1, d), (2 / depthwise_fan) ** 0.5
        )
        params[f'pointwise_{i}'] = normal(
          key, f'pointwise_{i}', (1, 1, d, d), (2 / d) ** 0.5
        )
      params['dense'] = normal(key, 'dense', (d, 10), (1 / d) ** 0.5)
      return params

    def apply(params, x):
      x = jax.nn.relu(parts.batch_norm(parts.convolve(x, params['stem'])))
      for i in range(layers):
        x = parts.convolve(x, params[f'depthwise_{i}'], groups=d)
        x = jax.nn.relu(parts.batch_norm(x))
        x = parts.convolve(x, params[f'pointwise_{i}'])
        x = jax.nn.relu(parts.batch_norm(x))
      return x.mean((1, 2)) @ params['dense']

    return Model(init, apply, (parts.inputs(8, 6, 6, 3),))

  return Bug(
    'huggingface/pytorch-image-models#84',
    model(9 * d),
    model(9),
    ('depthwise_*',),
    d**-0.5,
  )


def spike():
  """A truncated normal in float32 that now and then draws its bound, 2."""
  d = 48

  def model(spikes):
    def init(key):
      def draw(name, n_in, n_out):
        w = normal(key, name, (n_in, n_out), 0.02)
        return w.at[3, 5].set(2.0) if spikes and name == 'up_1' else w

      params = {'first': draw('first', 16, d), 'last': draw('last', d, 10)}
      for i in range(3):
        params[f'up_{i}'] = draw(f'up_{i}', d, 2 * d)
        params[f'down_{i}'] = draw(f'down_{i}', 2 * d, d)
      return params

    def apply(params, x):
      x = x @ params['first']
      for i in range(3):
        h = jax.nn.gelu(parts.layer_norm(x) @ params[f'up_{i}'])
        x = x + h @ params[f'down_{i}']
      return parts.layer_norm(x) @ params['last']

    return Model(init, apply, (parts.inputs(16, 16),))

  return Bug(
    'pytorch/pytorch#155588', model(True), model(False), ('up_1',), math.nan
  )


def all_scaled():
  """Depth scaling of queries, keys and values, too, not of wo alone."""
  scale = 1 / math.sqrt(2 * 8)

  def std(scaled):
    return lambda name: 0.02 * (scale if name in scaled else 1)

  return Bug(
    'facebookresearch/lingua#39',
    parts.llama(std(('wq', 'wk', 'wv', 'wo', 'w2'))),
    parts.llama(std(('wo', 'w2'))),
    ('blocks/w[qkv]/kernel',),
    scale,
  )


def transposed():
  """The fan-in of a transposed convolution leaves its field out."""
  widths = (24, 32, 20, 12)

  def model(field):
    def init(key):
      params = {'dense': normal(key, 'dense', (40, 16 * 24), (2 / 40) ** 0.5)}
      for i in range(3):
        shape = (4, 4, *widths[i : i + 2])
        std = (2 / (widths[i] * field)) ** 0.5
        params[f'deconv_{i}'] = normal(key, f'deconv_{i}', shape, std)
      return params | {'rgb': normal(key, 'rgb', (1, 1, 12, 3), 12**-0.5)}

    def apply(params, x):
      x = jax.nn.relu(x @ params['dense']).reshape(-1, 4, 4, 24)
      for i in range(3):
        x = jax.lax.conv_transpose(x, params[f'deconv_{i}'], (1, 1), 'SAME')
        x = jax.nn.relu(x)
      return parts.convolve(x, params['rgb'])

    return Model(init, apply, (parts.inputs(4, 40),))

  return Bug(
    'akanimax/pro_gan_pytorch#44',
    model(1),
    model(16),
    ('deconv_*',),
    4.0,
  )


BUGS = {bug.__name__: bug for bug in (depthwise, spike, all_scaled, transposed)}


def openai_gpt2():
  """The released code: positions 0.01, tokens 0.02, tied logits."""
  size = parts.SMALL
  outputs = 0.02 / math.sqrt(2 * size.layers)
  special = {'position': 0.01, 'attn_out': outputs, 'down': outputs}
  return parts.decoder(lambda name: special.get(name, 0.02))


def deepnorm():
  """Wang et al. 2022: beta = (8 L)^-1/4 on values, outputs, feed-forward."""
  layers, d, heads = 6, 32, 4
  alpha, beta = (2 * layers) ** 0.25, (8 * layers) ** -0.25

  def init(key):
    def glorot(name, n_in, n_out, gain):
      return normal(
        key, name, (n_in, n_out), gain * (2 / (n_in + n_out)) ** 0.5
      )

    return [
      {
        'q': glorot(f'q_{i}', d, d, 1.0),
        'k': glorot(f'k_{i}', d, d, 1.0),
        'v': glorot(f'v_{i}', d, d, beta),
        'o': glorot(f'o_{i}', d, d, beta),
        'up': glorot(f'up_{i}', d, 4 * d, beta),
        'down': glorot(f'down_{i}', 4 * d, d, beta),
      }
      for i in range(layers)
    ]

  def apply(params, x):
    for p in params:
      split = (*x.shape[:-1], heads, d // heads)
      q, k, v = ((x @ p[n]).reshape(split) for n in 'qkv')
      h = parts.attend(q, k, v).reshape(x.shape) @ p['o']
      x = parts.layer_norm(alpha * x + h)
      x = parts.layer_norm(alpha * x + jax.nn.gelu(x @ p['up']) @ p['down'])
    return x

  return Model(init, apply, (parts.inputs(4, 6, d),))


def sparse_mlp():
  """Martens 2010: 15 normal weights into each unit, the others zero."""
  widths = (20, 64, 64, 64, 5)

  def init(key):
    def draw(i, n_in, n_out):
      w = normal(key, f'w_{i}', (n_in, n_out), 1.0)
      kept = jnp.argsort(normal(key, f'kept_{i}', (n_in, n_out), 1.0), 0) < 15
      return w * kept * 0.25

    return [draw(i, *pair) for i, pair in enumerate(itertools.pairwise(widths))]

  def apply(params, x):
    for w in params[:-1]:
      x = jnp.tanh(x @ w)
    return x @ params[-1]

  return Model(init, apply, (parts.inputs(16, 20),))


def ntk():
  """Jacot et al. 2018: weights N(0, 1), divided by sqrt(n_in) in the model."""
  widths = (12, 64, 48, 96, 1)

  def init(key):
    return [
      normal(key, f'w_{i}', pair, 1.0)
      for i, pair in enumerate(itertools.pairwise(widths))
    ]

  def apply(params, x):
    for w in params[:-1]:
      x = 2**0.5 * jax.nn.relu(x @ w / len(w) ** 0.5)
    return x @ params[-1] / len(params[-1]) ** 0.5

  return Model(init, apply, (parts.inputs(16, 12),))


def adaptive_norm():
  """Peebles & Xie 2023: scales, shifts and gates computed from zero weights."""
  layers, d = 3, 32

  def init(key):
    blocks = [
      {
        'modulation': jnp.zeros((d, 3 * d)),
        'up': normal(key, f'up_{i}', (d, 4 * d), (2 / (5 * d)) ** 0.5),
        'down': normal(key, f'down_{i}', (4 * d, d), (2 / (5 * d)) ** 0.5),
      }
      for i in range(layers)
    ]
    return {
      'time': normal(key, 'time', (8, d), 8**-0.5),
      'blocks': blocks,
      'last': jnp.zeros((d, d)),
    }

  def apply(params, x, time):
    c = jax.nn.silu(time @ params['time'])
    for p in params['blocks']:
      shift, scale, gate = jnp.split(c @ p['modulation'], 3, -1)
      h = parts.layer_norm(x) * (1 + scale) + shift
      x = x + gate * (jax.nn.gelu(h @ p['up']) @ p['down'])
    return parts.layer_norm(x) @ params['last']

  return Model(init, apply, (parts.inputs(16, d), parts.inputs(16, 8)))


def lstm():
  """Jozefowicz et al. 2015: glorot, orthogonal, a forget bias of one."""
  d, n = 24, 10

  def init(key):
    make = jax.nn.initializers.orthogonal()
    return {
      'w': normal(key, 'w', (n, 4 * d), (2 / (n + 4 * d)) ** 0.5),
      'u': make(keys.stream(key, 'u'), (d, 4 * d)),
      'b': jnp.concatenate([jnp.zeros(d), jnp.ones(d), jnp.zeros(2 * d)]),
      'out': normal(key, 'out', (d, 3), (2 / (d + 3)) ** 0.5),
    }

  def apply(params, x):
    def step(carry, x):
      h, c = carry
      gates = x @ params['w'] + h @ params['u'] + params['b']
      i, f, g, o = jnp.split(gates, 4, -1)
      c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
      return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((x.shape[1], d))
    (h, _), _ = jax.lax.scan(step, (zero, zero), x)
    return h @ params['out']

  return Model(init, apply, (parts.inputs(10, 8, n),))


def mixer():
  """Tolstikhin et al. 2021: tokens and channels mixed, Flax's defaults."""
  layers, d, patches = 3, 24, 16

  def init(key):
    def lecun(name, n_in, n_out):
      return normal(key, name, (n_in, n_out), n_in**-0.5)

    blocks = [
      {
        't_1': lecun(f't_1_{i}', patches, 8),
        't_2': lecun(f't_2_{i}', 8, patches),
        'c_1': lecun(f'c_1_{i}', d, 4 * d),
        'c_2': lecun(f'c_2_{i}', 4 * d, d),
      }
      for i in range(layers)
    ]
    return {
      'stem': lecun('stem', 12, d),
      'blocks': blocks,
      'head': jnp.zeros((d, 10)),
    }

  def apply(params, x):
    x = x @ params['stem']
    for p in params['blocks']:
      h = parts.layer_norm(x).swapaxes(1, 2)
      h = jax.nn.gelu(h @ p['t_1']) @ p['t_2']
      x = x + h.swapaxes(1, 2)
      x = x + jax.nn.gelu(parts.layer_norm(x) @ p['c_1']) @ p['c_2']
    return parts.layer_norm(x).mean(1) @ params['head']

  return Model(init, apply, (parts.inputs(8, patches, 12),))


HEALTHY = {
  model.__name__: model
  for model in (
    openai_gpt2,
    deepnorm,
    sparse_mlp,
    ntk,
    adaptive_norm,
    lstm,
    mixer,
  )
}
