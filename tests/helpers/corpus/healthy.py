"""Models whose initialization is a known recipe: no verdict may alarm.

Each is a recipe of a paper, a framework's default or what a well-known code
does, with the exceptions such recipes make on purpose: zeros, small readouts,
depth scaling, orthogonal recurrences, embeddings of their own law.
"""

import itertools
import math

import jax
import jax.numpy as jnp

from initlab import keys
from tests.helpers.corpus import parts
from tests.helpers.corpus.parts import Model, Size, normal, uniform


def lecun(key, name, *shape):
  """Normal weights of Var w = 1 / n_in, n_in all but the last axis."""
  return normal(key, name, shape, math.prod(shape[:-1]) ** -0.5)


def he(key, name, *shape):
  return normal(key, name, shape, (2 / math.prod(shape[:-1])) ** 0.5)


def glorot(key, name, n_in, n_out):
  return uniform(key, name, (n_in, n_out), math.sqrt(6 / (n_in + n_out)))


def orthogonal(key, name, shape, gain=1.0):
  make = jax.nn.initializers.orthogonal(gain)
  return make(keys.stream(key, name), shape)


def _he_std(layer, n_in, n_out):
  return (2 / n_in) ** 0.5


def _lecun_std(layer, n_in, n_out):
  return n_in**-0.5


def relu_mlp():
  """He et al. 2015."""
  return parts.mlp((16, 64, 48, 64, 32, 10), _he_std, jax.nn.relu)


def tanh_mlp():
  """Glorot & Bengio 2010."""

  def std(layer, n_in, n_out):
    return (2 / (n_in + n_out)) ** 0.5

  return parts.mlp((16, 64, 48, 64, 10), std, jnp.tanh)


def selu_mlp():
  """Klambauer et al. 2017."""
  return parts.mlp((16, *[64] * 8, 10), _lecun_std, jax.nn.selu)


def torch_mlp():
  """The default of PyTorch: Var w = 1 / (3 n_in), biases likewise."""

  def std(layer, n_in, n_out):
    return (3 * n_in) ** -0.5

  def bias(key, name, n_in, n_out):
    return uniform(key, name, (n_out,), n_in**-0.5)

  return parts.mlp((16, 64, 128, 64, 10), std, jax.nn.relu, bias=bias)


def policy():
  """The networks of PPO: orthogonal, gain sqrt(2), the last 0.01."""
  widths = (12, 64, 64, 4)
  gains = (2**0.5, 2**0.5, 0.01)

  def init(key):
    return [
      {
        'w': orthogonal(key, f'w_{layer}', shape, gain),
        'b': jnp.zeros(shape[1]),
      }
      for layer, (*shape, gain) in enumerate(
        zip(widths, widths[1:], gains, strict=False)
      )
    ]

  def apply(params, x):
    for layer in params[:-1]:
      x = jnp.tanh(x @ layer['w'] + layer['b'])
    return x @ params[-1]['w'] + params[-1]['b']

  return Model(init, apply, (parts.inputs(16, 12),))


def siren():
  """Sitzmann et al. 2020: sin(30 x) of U(-1/n, 1/n), then U(-sqrt(6/n)/30)."""
  widths = (2, 64, 64, 64, 1)

  def init(key):
    return [
      uniform(
        key, f'w_{layer}', shape, (6 / shape[0]) ** 0.5 / 30 if layer else 0.5
      )
      for layer, shape in enumerate(itertools.pairwise(widths))
    ]

  def apply(params, x):
    for w in params[:-1]:
      x = jnp.sin(30 * (x @ w))
    return x @ params[-1]

  return Model(init, apply, (parts.inputs(64, 2) / 3,))


def mup_mlp():
  """Yang et al. 2022: hidden 1/n_in, the readout zero."""

  def std(layer, n_in, n_out):
    return 0.0 if layer == 4 else n_in**-0.5

  return parts.mlp((16, *[64] * 4, 10), std, jnp.tanh)


def bottleneck():
  """An autoencoder: widths fall and rise."""
  widths = (64, 32, 8, 32, 64)
  return parts.mlp(widths, _lecun_std, jax.nn.elu)


def convnet():
  """He et al. 2015 with max pooling and a dense readout."""

  def init(key):
    return {
      'conv_0': he(key, 'conv_0', 3, 3, 3, 16),
      'conv_1': he(key, 'conv_1', 3, 3, 16, 32),
      'conv_2': he(key, 'conv_2', 3, 3, 32, 32),
      'dense': he(key, 'dense', 32, 10),
    }

  def apply(params, x):
    for name in ('conv_0', 'conv_1', 'conv_2'):
      x = jax.nn.relu(parts.convolve(x, params[name]))
      x = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID'
      )
    return x.reshape(len(x), -1) @ params['dense']

  return Model(init, apply, (parts.inputs(8, 8, 8, 3),))


def convnext():
  """Liu et al. 2022: depthwise 7x7, std 0.02 everywhere, layer scale 1e-6."""
  d, layers = 24, 3

  def init(key):
    return {
      'stem': normal(key, 'stem', (2, 2, 3, d), 0.02),
      'blocks': [
        {
          'depthwise': normal(key, f'depthwise_{i}', (7, 7, 1, d), 0.02),
          'up': normal(key, f'up_{i}', (d, 4 * d), 0.02),
          'down': normal(key, f'down_{i}', (4 * d, d), 0.02),
          'gamma': jnp.full(d, 1e-6),
        }
        for i in range(layers)
      ],
      'head': normal(key, 'head', (d, 10), 0.02),
    }

  def apply(params, x):
    x = parts.layer_norm(parts.convolve(x, params['stem'], stride=2))
    for p in params['blocks']:
      h = parts.layer_norm(parts.convolve(x, p['depthwise'], groups=d))
      x = x + p['gamma'] * (jax.nn.gelu(h @ p['up']) @ p['down'])
    return parts.layer_norm(x.mean((1, 2))) @ params['head']

  return Model(init, apply, (parts.inputs(8, 8, 8, 3),))


def resnet():
  """He et al. 2016 with batch norm; the last scale of a branch is zero."""
  widths = (16, 16, 32)

  def init(key):
    params = {
      'stem': he(key, 'stem', 3, 3, 3, 16),
      'dense': lecun(key, 'd', 32, 10),
    }
    n = 16
    for i, width in enumerate(widths):
      params[f'block_{i}'] = {
        'conv_1': he(key, f'conv_1_{i}', 3, 3, n, width),
        'conv_2': he(key, f'conv_2_{i}', 3, 3, width, width),
        'scale_1': jnp.ones(width),
        'scale_2': jnp.zeros(width),
      }
      if n != width:
        params[f'block_{i}']['shortcut'] = he(key, f's_{i}', 1, 1, n, width)
      n = width
    return params

  def apply(params, x):
    x = jax.nn.relu(parts.batch_norm(parts.convolve(x, params['stem'])))
    for i in range(len(widths)):
      p = params[f'block_{i}']
      h = parts.convolve(x, p['conv_1'])
      h = jax.nn.relu(parts.batch_norm(h, p['scale_1']))
      h = parts.batch_norm(parts.convolve(h, p['conv_2']), p['scale_2'])
      if 'shortcut' in p:
        x = parts.batch_norm(parts.convolve(x, p['shortcut']))
      x = jax.nn.relu(x + h)
    return x.mean((1, 2)) @ params['dense']

  return Model(init, apply, (parts.inputs(8, 8, 8, 3),))


def fixup():
  """Zhang et al. 2019: no norm; 1/sqrt(L) in branches, their last zero."""
  layers, d = 6, 32

  def init(key):
    blocks = [
      {
        'w_1': he(key, f'w_1_{i}', d, d) * layers**-0.5,
        'w_2': jnp.zeros((d, d)),
        'scale': jnp.ones(()),
        'bias': jnp.zeros(()),
      }
      for i in range(layers)
    ]
    return {
      'first': he(key, 'first', 16, d),
      'blocks': blocks,
      'last': jnp.zeros((d, 10)),
    }

  def apply(params, x):
    x = x @ params['first']
    for p in params['blocks']:
      h = jax.nn.relu(x @ p['w_1'] + p['bias'])
      x = x + p['scale'] * (h @ p['w_2'])
    return x @ params['last']

  return Model(init, apply, (parts.inputs(16, 16),))


def residual_mlp():
  """He weights in branches that are divided by sqrt(L)."""
  layers, d = 8, 32

  def init(key):
    return {
      'first': lecun(key, 'first', 16, d),
      'blocks': [
        {'w_1': he(key, f'w_1_{i}', d, d), 'w_2': lecun(key, f'w_2_{i}', d, d)}
        for i in range(layers)
      ],
      'last': lecun(key, 'last', d, 10),
    }

  def apply(params, x):
    x = x @ params['first']
    for p in params['blocks']:
      x = x + layers**-0.5 * (jax.nn.relu(x @ p['w_1']) @ p['w_2'])
    return x @ params['last']

  return Model(init, apply, (parts.inputs(16, 16),))


def rezero():
  """Bachlechner et al. 2021: branches times a scalar that starts at zero."""
  layers, d = 6, 32

  def init(key):
    return {
      'blocks': [
        {'w': glorot(key, f'w_{i}', d, d), 'alpha': jnp.zeros(())}
        for i in range(layers)
      ],
      'last': glorot(key, 'last', d, 10),
    }

  def apply(params, x):
    for p in params['blocks']:
      x = x + p['alpha'] * jax.nn.relu(x @ p['w'])
    return x @ params['last']

  return Model(init, apply, (parts.inputs(16, d),))


def gpt2():
  """Radford et al. 2019: 0.02, residual outputs 0.02 / sqrt(2 L)."""
  outputs = 0.02 / math.sqrt(2 * Size().layers)
  return parts.decoder(
    lambda name: outputs if name in ('attn_out', 'down') else 0.02
  )


def bert():
  """Devlin et al. 2018: 0.02 and normalization after the add."""
  layers, d, hidden, heads = 3, 32, 128, 4

  def init(key):
    shapes = dict.fromkeys(('q', 'k', 'v', 'o'), (d, d))
    shapes |= {'up': (d, hidden), 'down': (hidden, d)}
    blocks = [
      {n: normal(key, f'{n}_{i}', s, 0.02) for n, s in shapes.items()}
      for i in range(layers)
    ]
    return {
      'embed': normal(key, 'embed', (40, d), 0.02),
      'blocks': blocks,
      'head': normal(key, 'head', (d, 2), 0.02),
    }

  def apply(params, text):
    x = parts.layer_norm(params['embed'][text])
    for p in params['blocks']:
      split = (*x.shape[:-1], heads, d // heads)
      q, k, v = ((x @ p[n]).reshape(split) for n in 'qkv')
      h = parts.attend(q, k, v, causal=False).reshape(x.shape)
      x = parts.layer_norm(x + h @ p['o'])
      x = parts.layer_norm(x + jax.nn.gelu(x @ p['up']) @ p['down'])
    return x[:, 0] @ params['head']

  return Model(init, apply, (parts.tokens(40, 8, 8),))


def flax_transformer():
  """Flax's defaults: lecun_normal kernels, embeddings of 1 / sqrt(d)."""
  size = Size(layers=3, hidden=128)
  fans = {'down': size.hidden}

  def std(name):
    return fans.get(name, size.d) ** -0.5

  return parts.decoder(std, size)


def palm():
  """Chowdhery et al. 2022: embeddings N(0, 1), kernels 1 / sqrt(n_in)."""
  size = Size(hidden=96)

  def std(name):
    return 1.0 if name == 'embed' else {'w2': 96}.get(name, size.d) ** -0.5

  return parts.llama(std, size)


def llama():
  """torchtitan's: 0.02, residual outputs scaled, the readout 1 / sqrt(d)."""
  size = Size(hidden=96)
  outputs = 0.02 / math.sqrt(2 * size.layers)
  special = {'embed': 1.0, 'wo': outputs, 'w2': outputs, 'readout': 32**-0.5}
  return parts.llama(lambda name: special.get(name, 0.02), size)


def tied():
  """Vaswani et al. 2017: one matrix for embedding and logits, 1 / sqrt(d)."""
  d, vocabulary = 32, 40

  def init(key):
    return {
      'embed': normal(key, 'embed', (vocabulary, d), d**-0.5),
      'up': glorot(key, 'up', d, 4 * d),
      'down': glorot(key, 'down', 4 * d, d),
    }

  def loss(params, text, labels):
    x = params['embed'][text] * d**0.5
    x = x + jax.nn.relu(parts.layer_norm(x) @ params['up']) @ params['down']
    return parts.cross_entropy(parts.layer_norm(x) @ params['embed'].T, labels)

  text = parts.tokens(vocabulary, 8, 9)
  return Model(init, loss, (text[:, :-1], text[:, 1:]))


def rnn():
  """Le et al. 2015 and Saxe et al. 2014: an orthogonal recurrence."""
  d = 32

  def init(key):
    return {
      'w_x': glorot(key, 'w_x', 8, d),
      'w_h': orthogonal(key, 'w_h', (d, d)),
      'bias': jnp.zeros(d),
      'out': glorot(key, 'out', d, 5),
    }

  def apply(params, x):
    def step(h, x):
      h = jnp.tanh(x @ params['w_x'] + h @ params['w_h'] + params['bias'])
      return h, h

    start = jnp.zeros((x.shape[1], d))
    h, _ = jax.lax.scan(step, start, x)
    return h @ params['out']

  return Model(init, apply, (parts.inputs(12, 8, 8),))


def gru():
  """Cho et al. 2014 as Keras and Flax draw it: glorot, orthogonal."""
  d = 24

  def init(key):
    return {
      'w': {gate: lecun(key, f'w_{gate}', 8, d) for gate in 'rzn'},
      'u': {gate: orthogonal(key, f'u_{gate}', (d, d)) for gate in 'rzn'},
      'out': lecun(key, 'out', d, 5),
    }

  def apply(params, x):
    w, u = params['w'], params['u']

    def step(h, x):
      r = jax.nn.sigmoid(x @ w['r'] + h @ u['r'])
      z = jax.nn.sigmoid(x @ w['z'] + h @ u['z'])
      n = jnp.tanh(x @ w['n'] + r * (h @ u['n']))
      h = (1 - z) * n + z * h
      return h, None

    h, _ = jax.lax.scan(step, jnp.zeros((x.shape[1], d)), x)
    return h @ params['out']

  return Model(init, apply, (parts.inputs(12, 8, 8),))


def lora():
  """Hu et al. 2022: A as PyTorch draws it, B zero, beside drawn weights."""
  d, rank, layers = 32, 4, 3

  def init(key):
    return [
      {
        'w': lecun(key, f'w_{i}', d, d),
        'a': normal(key, f'a_{i}', (d, rank), (3 * d) ** -0.5),
        'b': jnp.zeros((rank, d)),
      }
      for i in range(layers)
    ]

  def apply(params, x):
    for p in params[:-1]:
      x = jax.nn.gelu(x @ p['w'] + 2.0 * (x @ p['a'] @ p['b']))
    p = params[-1]
    return x @ p['w'] + 2.0 * (x @ p['a'] @ p['b'])

  return Model(init, apply, (parts.inputs(16, d),))


def mixture():
  """A mixture of experts: 0.02 as Mixtral, its router too."""
  d, hidden, experts = 32, 64, 4

  def init(key):
    return {
      'first': normal(key, 'first', (16, d), 16**-0.5),
      'router': normal(key, 'router', (d, experts), 0.02),
      'w_1': normal(key, 'w_1', (experts, d, hidden), 0.02),
      'w_3': normal(key, 'w_3', (experts, d, hidden), 0.02),
      'w_2': normal(key, 'w_2', (experts, hidden, d), 0.02),
      'head': normal(key, 'head', (d, 10), 0.02),
    }

  def apply(params, x):
    x = x @ params['first']
    h = parts.rms_norm(x)
    gates = jax.nn.softmax(h @ params['router'])
    up = jnp.einsum('bd,edh->beh', h, params['w_1'])
    up = jax.nn.silu(up) * jnp.einsum('bd,edh->beh', h, params['w_3'])
    h = jnp.einsum('be,beh,ehd->bd', gates, up, params['w_2'])
    return parts.rms_norm(x + h) @ params['head']

  return Model(init, apply, (parts.inputs(32, 16),))


def vit():
  """Touvron et al. 2021: patches, a class token, layer scale 1e-5."""
  d, layers, heads = 32, 2, 4

  def init(key):
    shapes = dict.fromkeys(('q', 'k', 'v', 'o'), (d, d))
    shapes |= {'up': (d, 4 * d), 'down': (4 * d, d)}
    blocks = [
      {n: normal(key, f'{n}_{i}', s, 0.02) for n, s in shapes.items()}
      | {'gamma_1': jnp.full(d, 1e-5), 'gamma_2': jnp.full(d, 1e-5)}
      for i in range(layers)
    ]
    return {
      'patch': lecun(key, 'patch', 4, 4, 3, d),
      'position': normal(key, 'position', (4, d), 0.02),
      'blocks': blocks,
      'head': normal(key, 'head', (d, 10), 0.02),
    }

  def apply(params, x):
    x = jax.lax.conv_general_dilated(
      x,
      params['patch'],
      (4, 4),
      'VALID',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    x = x.reshape(len(x), -1, d) + params['position']
    for p in params['blocks']:
      h = parts.layer_norm(x)
      split = (*h.shape[:-1], heads, d // heads)
      q, k, v = ((h @ p[n]).reshape(split) for n in 'qkv')
      h = parts.attend(q, k, v, causal=False).reshape(x.shape)
      x = x + p['gamma_1'] * (h @ p['o'])
      h = jax.nn.gelu(parts.layer_norm(x) @ p['up'])
      x = x + p['gamma_2'] * (h @ p['down'])
    return parts.layer_norm(x.mean(1)) @ params['head']

  return Model(init, apply, (parts.inputs(8, 8, 8, 3),))


def standardized():
  """Brock et al. 2021: weights standardized in the model, scaled branches."""
  layers, d = 4, 32

  def weight(p):
    w = p['w'] - p['w'].mean(0)
    return p['gain'] * w * jax.lax.rsqrt(d * w.var(0) + 1e-8)

  def init(key):
    return {
      'first': lecun(key, 'first', 16, d),
      'blocks': [
        {'w': he(key, f'w_{i}', d, d), 'gain': jnp.ones(d)}
        for i in range(layers)
      ],
      'last': lecun(key, 'last', d, 10),
    }

  def apply(params, x):
    x = x @ params['first']
    for p in params['blocks']:
      x = x + 0.2 * (1.7 * jax.nn.relu(x) @ weight(p))
    return x @ params['last']

  return Model(init, apply, (parts.inputs(16, 16),))


def router():
  """Jacobs et al. 1991: experts of He's law, weighed by a small router."""
  experts, d = 4, 32

  def init(key):
    return {
      'stem': normal(key, 'stem', (16, d), 16**-0.5),
      'router': normal(key, 'router', (d, experts), 0.02),
      'up': normal(key, 'up', (experts, d, 64), (2 / d) ** 0.5),
      'down': normal(key, 'down', (experts, 64, d), 64**-0.5),
      'head': normal(key, 'head', (d, 10), d**-0.5),
    }

  def apply(params, x):
    x = x @ params['stem']
    shares = jax.nn.softmax(x @ params['router'])
    hidden = jax.nn.relu(jnp.einsum('td,edh->eth', x, params['up']))
    out = jnp.einsum('eth,ehd->etd', hidden, params['down'])
    x = x + jnp.einsum('te,etd->td', shares, out)
    return x @ params['head']

  return Model(init, apply, (parts.inputs(64, 16),))


def autoencoder():
  """Kingma & Welling 2014: a loss that sums up 64 pixels, and a KL term."""
  pixels, d, code = 64, 64, 8

  def init(key):
    def lecun(name, n_in, n_out):
      return normal(key, name, (n_in, n_out), n_in**-0.5)

    return {
      'encoder': lecun('encoder', pixels, d),
      'mean': lecun('mean', d, code),
      'log_variance': lecun('log_variance', d, code),
      'decoder': lecun('decoder', code, d),
      'out': lecun('out', d, pixels),
    }

  def loss(params, x, noise):
    hidden = jax.nn.relu(x @ params['encoder'])
    mean, log_variance = (
      hidden @ params['mean'],
      hidden @ params['log_variance'],
    )
    z = mean + jnp.exp(log_variance / 2) * noise
    logits = jax.nn.relu(z @ params['decoder']) @ params['out']
    pixel = jax.nn.softplus(logits) - logits * x
    divergence = mean**2 + jnp.exp(log_variance) - log_variance - 1
    return jnp.mean(pixel.sum(-1) + divergence.sum(-1) / 2)

  x = (parts.inputs(32, pixels) > 0).astype(jnp.float32)
  return Model(init, loss, (x, parts.inputs(32, code)))


HEALTHY = {
  model.__name__: model
  for model in (
    relu_mlp,
    tanh_mlp,
    selu_mlp,
    torch_mlp,
    policy,
    siren,
    mup_mlp,
    bottleneck,
    convnet,
    convnext,
    resnet,
    fixup,
    residual_mlp,
    rezero,
    gpt2,
    bert,
    flax_transformer,
    palm,
    llama,
    tied,
    rnn,
    gru,
    lora,
    mixture,
    vit,
    standardized,
    router,
    autoencoder,
  )
}
