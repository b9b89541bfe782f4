"""Small models of many kinds in plain JAX: `() -> (init, model, batch)`."""

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from initlab import initializers, keys, mlp


def normal(key, shape, scale=None):
  """Normal weights, of variance 1 / n_in unless told otherwise."""
  scale = shape[-2] ** -0.5 if scale is None else scale
  return scale * jax.random.normal(key, shape)


def draw(**shapes):
  """An init of independent normal weights; a function of a shape draws one."""

  def init(key):
    return {
      name: each if not isinstance(each, tuple) else normal(each_key, each)
      for (name, each), each_key in zip(
        shapes.items(),
        (keys.stream(key, name) for name in shapes),
        strict=True,
      )
    }

  return init


def examples(*shape):
  """Standard normal inputs, drawn by NumPy, which compiles nothing."""
  return jnp.asarray(np.random.default_rng(0).standard_normal(shape, 'f4'))


def lab_mlp(depth=2):
  """The lab's own, of `depth` hidden layers of 16 tanh units."""
  init = lambda key: mlp.init(
    key, (8, *(16,) * depth, 4), initializers.glorot_uniform()
  )
  return (
    init,
    lambda params, x: mlp.apply(params, x, jnp.tanh),
    (examples(6, 8),),
  )


def rnn():
  """A recurrent network: its weights are the same at all times."""

  def model(params, x):
    def step(h, x):
      s = x @ params['u'] + h @ params['w'] + params['b']
      return jnp.tanh(s), None

    h, _ = lax.scan(step, jnp.zeros((6, 16)), x)
    return h @ params['out']

  shapes = {'u': (8, 16), 'w': (16, 16), 'out': (16, 3)}
  return draw(**shapes, b=jnp.zeros(16)), model, (examples(5, 6, 8),)


def lstm():
  """Four gates, split of one product."""

  def model(params, x):
    def step(carry, x):
      h, c = carry
      i, j, f, o = jnp.split(x @ params['u'] + h @ params['w'], 4, axis=-1)
      c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
      return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    (h, _), _ = lax.scan(step, (jnp.zeros((6, 16)),) * 2, x)
    return h @ params['out']

  return draw(u=(8, 64), w=(16, 64), out=(16, 3)), model, (examples(5, 6, 8),)


def lora():
  """A low-rank branch beside a weight."""

  def model(params, x):
    full = x @ params['w']
    return jax.nn.relu(full + 0.5 * (x @ params['a']) @ params['b'])

  return draw(w=(8, 16), a=(8, 2), b=(2, 16)), model, (examples(6, 8),)


def experts():
  """A mixture of experts by einsum, added to its input."""

  def model(params, x):
    share = jax.nn.softmax(x @ params['router'])
    h = jax.nn.silu(jnp.einsum('bd,edf->ebf', x, params['up']))
    y = jnp.einsum('ebf,efd->ebd', h, params['down'])
    return (x + jnp.einsum('be,ebd->bd', share, y)) @ params['out']

  shapes = {
    'router': (8, 4),
    'up': (4, 8, 16),
    'down': (4, 16, 8),
    'out': (8, 2),
  }
  return draw(**shapes), model, (examples(6, 8),)


def standardized():
  """Weight standardization: the kernel is computed from the leaf."""

  def model(params, x):
    w = params['w']
    w = (w - jnp.mean(w, 0)) / (jnp.std(w, 0) + 1e-5)
    return jax.nn.relu(x @ w) @ params['out']

  return draw(w=(8, 16), out=(16, 4)), model, (examples(6, 8),)


def bfloat16():
  """Weights and signals in bfloat16, the output in float32."""
  draw_wide = draw(w=(8, 16), out=(16, 4))
  init = lambda key: jax.tree.map(
    lambda w: w.astype(jnp.bfloat16), draw_wide(key)
  )

  def model(params, x):
    h = jax.nn.relu(x.astype(jnp.bfloat16) @ params['w'])
    return (h @ params['out']).astype(jnp.float32)

  return init, model, (examples(6, 8),)


def branches():
  """A branch that the batch chooses."""

  def model(params, x):
    left = lambda x: jnp.tanh(x @ params['left'])
    right = lambda x: jax.nn.relu(x @ params['right'])
    return lax.cond(x[0, 0] > 0, left, right, x) @ params['out']

  return draw(left=(8, 8), right=(8, 8), out=(8, 1)), model, (examples(6, 8),)


def counted_loop():
  """A fori_loop over slices of one leaf."""

  def model(params, x):
    block = lambda i, x: x + jnp.tanh(x @ params['w'][i])
    return lax.fori_loop(0, 3, block, x) @ params['out']

  return draw(w=(3, 8, 8), out=(8, 1)), model, (examples(6, 8),)


def while_loop():
  """A loop of unknown length: opaque."""

  def model(params, x):
    step = lambda carry: (carry[0] + 1, jnp.tanh(carry[1] @ params['w']))
    _, x = lax.while_loop(lambda carry: carry[0] < 3, step, (0, x))
    return lax.stop_gradient(x) @ params['out']

  return draw(w=(8, 8), out=(8, 1)), model, (examples(6, 8),)


def nested_scans():
  """Two loops, of a leaf that is scaled before and turned within."""

  def model(params, x):
    block = lambda x, w: (x + jnp.tanh(x @ w.T), None)
    group = lambda x, w: (lax.scan(block, x, w)[0], None)
    return lax.scan(group, x, 2.0 * params['w'])[0] @ params['out']

  return draw(w=(2, 3, 8, 8), out=(8, 1)), model, (examples(6, 8),)


def gated():
  """SwiGLU, a gate split of one product, LayerScale and a tied readout."""

  def model(params, tokens):
    x = params['embedding'][tokens]
    h = _rms_norm(x, params['scale'])
    h = jax.nn.silu(h @ params['gate']) * (h @ params['up'])
    x = x + params['layer_scale'] * (h @ params['down'])
    a, b = jnp.split(x @ params['both'], 2, axis=-1)
    x = x + (jax.nn.sigmoid(a) * b) @ params['down2']
    logits = x @ params['embedding'].T
    return -jnp.mean(jax.nn.log_softmax(logits)[..., 0])

  shapes = {
    'embedding': (20, 8),
    'gate': (8, 16),
    'up': (8, 16),
    'down': (16, 8),
    'both': (8, 32),
  }
  init = draw(
    **shapes, down2=(16, 8), scale=jnp.ones(8), layer_scale=jnp.full(8, 0.1)
  )
  return init, model, (jnp.arange(12).reshape(2, 6),)


def packed():
  """Three products with slices of one leaf, in parallel branches."""

  def model(params, x):
    q, k, v = (x @ params['qkv'][:, i : i + 8] for i in (0, 8, 16))
    return x + jnp.tanh(q @ params['a']) + jax.nn.relu(k @ params['b']) + v

  return draw(qkv=(8, 24), a=(8, 8), b=(8, 8)), model, (examples(6, 8),)


def custom_rule():
  """A matrix product with a gradient rule of its own."""

  @jax.custom_vjp
  def product(x, w):
    return x @ w

  product.defvjp(
    lambda x, w: (x @ w, (x, w)),
    lambda kept, g: (g @ kept[1].T, kept[0].T @ g),
  )
  model = lambda params, x: jnp.tanh(product(x, params['w'])) @ params['out']
  return draw(w=(8, 8), out=(8, 1)), model, (examples(6, 8),)


def resnet():
  """A block with batch norm, a stride and a shortcut of one convolution."""

  def convolve(x, w, stride=1):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(
      x, w, (stride, stride), 'SAME', dimension_numbers=layout
    )

  def norm(x):
    mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    return (x - mean) * lax.rsqrt(variance + 1e-5)

  def model(params, x):
    y = jax.nn.gelu(convolve(x, params['a'], 2))
    y = norm(convolve(y, params['b']))
    x = jax.nn.relu(norm(convolve(x, params['shortcut'], 2)) + y)
    return jnp.mean(x, (1, 2)) @ params['out']

  shapes = {
    'a': (3, 3, 4, 8),
    'b': (3, 3, 8, 8),
    'shortcut': (1, 1, 4, 8),
    'out': (8, 2),
  }
  return draw(**shapes), model, (examples(2, 6, 6, 4),)


def residual_convnet(width, images, pixels, blocks=3):
  """Unrolled blocks of two convolutions with batch norms; returns its loss."""

  def norm(x):
    mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    return (x - mean) * lax.rsqrt(variance + 1e-5)

  def convolve(x, w):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(
      x, w, (1, 1), 'SAME', dimension_numbers=layout
    )

  def model(params, x, y):
    x = convolve(x, params['stem'])
    for first, second in params['blocks']:
      h = convolve(jax.nn.relu(norm(x)), first)
      x = x + convolve(jax.nn.relu(norm(h)), second)
    logits = jnp.mean(jax.nn.relu(norm(x)), (1, 2)) @ params['out']
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, y[:, None], -1))

  one = draw(first=(3, 3, width, width), second=(3, 3, width, width))
  ends = draw(stem=(3, 3, 3, width), out=(width, 10))

  def init(key):
    drawn = (one(keys.at(key, block)) for block in range(blocks))
    pairs = [(each['first'], each['second']) for each in drawn]
    return {'blocks': pairs, **ends(keys.at(key, blocks))}

  labels = jnp.arange(images) % 10
  return init, model, (examples(images, pixels, pixels, 3), labels)


def grouped_convolution():
  """A depthwise convolution, channels first, and one with two groups."""

  def model(params, x):
    convolve = lambda x, w, groups: lax.conv_general_dilated(
      x, w, (1, 1), 'VALID', feature_group_count=groups
    )
    x = jax.nn.gelu(convolve(x, params['depthwise'], 4))
    return convolve(x, params['grouped'], 2)

  init = draw(depthwise=(8, 1, 3, 3), grouped=(6, 4, 3, 3))
  return init, model, (examples(2, 4, 6, 6),)


def prelu():
  """An activation that depends on the params."""

  def model(params, x):
    s = x @ params['w']
    return jnp.where(s > 0, s, params['slope'] * s) @ params['out']

  init = draw(w=(8, 16), slope=jnp.float32(0.25), out=(16, 4))
  return init, model, (examples(6, 8),)


def _rms_norm(x, scale):
  return x * lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * scale


def language_model(scanned=False, remat=False, depth=2, width=16, batch=(2, 6)):
  """A pre-norm transformer that returns its loss on [sequences, tokens]."""
  heads, vocabulary = 4, 20
  tokens = jnp.arange(np.prod(batch)).reshape(batch) % vocabulary

  def block(x, params):
    h = _rms_norm(x, params['scale1'])
    q, k, v = jnp.split(h @ params['qkv'], 3, axis=-1)
    cut = lambda x: x.reshape(*x.shape[:2], heads, width // heads)
    h = jax.nn.dot_product_attention(cut(q), cut(k), cut(v), is_causal=True)
    x = x + h.reshape(x.shape) @ params['projection']
    h = jax.nn.gelu(_rms_norm(x, params['scale2']) @ params['up'])
    return x + h @ params['down']

  block = jax.checkpoint(block) if remat else block
  one = draw(
    scale1=jnp.ones(width),
    qkv=(width, 3 * width),
    projection=(width, width),
    scale2=jnp.ones(width),
    up=(width, 4 * width),
    down=(4 * width, width),
  )

  def init(key):
    blocks = [one(keys.at(key, layer)) for layer in range(depth)]
    if scanned:
      blocks = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    others = draw(
      embedding=(vocabulary, width),
      position=(tokens.shape[1], width),
      scale=jnp.ones(width),
      readout=(width, vocabulary),
    )
    return {'blocks': blocks, **others(keys.at(key, depth))}

  def model(params, tokens):
    x = params['embedding'][tokens] + params['position']
    if scanned:
      x, _ = lax.scan(lambda x, p: (block(x, p), None), x, params['blocks'])
    else:
      for each in params['blocks']:
        x = block(x, each)
    logits = _rms_norm(x, params['scale']) @ params['readout']
    logs = jax.nn.log_softmax(logits[:, :-1])
    return -jnp.mean(jnp.take_along_axis(logs, tokens[:, 1:, None], -1))

  return init, model, (tokens,)


ALL = {
  each.__name__: each
  for each in (
    lab_mlp,
    rnn,
    lstm,
    lora,
    experts,
    standardized,
    bfloat16,
    branches,
    counted_loop,
    while_loop,
    nested_scans,
    gated,
    packed,
    custom_rule,
    resnet,
    grouped_convolution,
    prelu,
    language_model,
  )
} | {
  'deep_lab_mlp': lambda: lab_mlp(20),
  'scanned_language_model': lambda: language_model(scanned=True),
  'remat_language_model': lambda: language_model(remat=True),
  'scanned_remat_language_model': lambda: language_model(True, True),
}
