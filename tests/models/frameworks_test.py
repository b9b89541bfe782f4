"""Audits of models of four frameworks, against their own captures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import keys
from initlab.models import adapters, audit as audits
from tests.helpers import architectures

pytestmark = pytest.mark.slow


def _audit(init, apply, *batch):
  found = audits.audit(init, apply, batch, seeds=2)
  params = init(keys.at(keys.root(0), 0))
  return {site.name: site for site in found.sites}, found, params


def _square(x):
  return np.mean(np.square(np.asarray(x, float)))


def _linen_network():
  nn = pytest.importorskip('flax.linen')

  class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
      x = nn.Conv(8, (3, 3))(x)
      x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
      y = nn.Conv(8, (3, 3), feature_group_count=8, use_bias=False)(x)
      x = x + nn.Conv(8, (1, 1))(nn.gelu(y))
      x = nn.Dropout(0.1, deterministic=not train)(x)
      return nn.Dense(5)(x.reshape(len(x), -1))

  return Network()


def test_linen():
  """Forward error 0 up to the order of summation, against captures."""
  network, x = _linen_network(), architectures.examples(4, 8, 8, 3)
  rngs = {'dropout': keys.root(1)}
  init, apply = adapters.linen(network, x, rngs=rngs, train=True)
  sites, found, variables = _audit(init, apply, x)
  _, captured = network.apply(
    variables,
    x,
    train=True,
    rngs={'dropout': keys.root(1)},
    capture_intermediates=True,
    mutable=True,
  )
  for name, layer in captured['intermediates'].items():
    if name.startswith(('Conv', 'Dense')):
      site = sites[f'params/{name}/kernel']
      expected = _square(layer['__call__'][0])
      # float32 sums of n = 2^12 squares in a row: the kth addition rounds by
      # up to 2^-24 k / n of the sum, all together by 2^-24 sqrt(n) / 3 (rms).
      assert site.measured['forward_square'][0] == pytest.approx(
        expected, rel=2**-18
      )
  (add,) = found.residuals
  assert add.sites == ('params/Conv_2/kernel',)
  assert sites['params/Conv_0/kernel'].activations == ('relu',)
  assert sites['params/Conv_1/kernel'].n_in == 9
  roles = {leaf.name: leaf.role for leaf in found.leaves}
  assert roles['params/BatchNorm_0/scale'] == 'scale'
  assert roles['batch_stats/BatchNorm_0/mean'] == 'unused'


def _nnx_network(rngs, scanned, remat):
  from flax import nnx

  class Block(nnx.Module):
    def __init__(self, rngs):
      self.norm = nnx.LayerNorm(16, rngs=rngs)
      self.attention = nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs)
      self.norm2 = nnx.LayerNorm(16, rngs=rngs)
      self.up = nnx.Linear(16, 64, rngs=rngs)
      self.down = nnx.Linear(64, 16, rngs=rngs)

    def __call__(self, x):
      x = x + self.attention(self.norm(x))
      return x + self.down(nnx.gelu(self.up(self.norm2(x))))

  class Network(nnx.Module):
    def __init__(self, rngs):
      self.embedding = nnx.Embed(50, 16, rngs=rngs)
      if scanned:
        make = nnx.vmap(Block, in_axes=(0,), out_axes=0)
        self.blocks = nnx.split_rngs(splits=2)(make)(rngs)
      else:
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])

    def __call__(self, tokens):
      x = self.embedding(tokens)
      if scanned:
        axes = {'in_axes': (nnx.Carry, 0), 'out_axes': nnx.Carry}
        x = nnx.scan(lambda x, block: block(x), **axes)(x, self.blocks)
      else:
        run = lambda block, x: block(x)
        for block in self.blocks:
          x = (nnx.remat(run) if remat else run)(block, x)
      return self.embedding.attend(x)

  return Network(rngs)


@pytest.mark.parametrize(
  ('scanned', 'remat'), [(False, False), (False, True), (True, False)]
)
def test_nnx(scanned, remat):
  nnx = pytest.importorskip('flax.nnx')
  make = lambda key: _nnx_network(nnx.Rngs(key), scanned, remat)
  init, apply = adapters.nnx(make)
  tokens = jnp.arange(32).reshape(4, 8)
  sites, found, params = _audit(init, apply, tokens)
  first = 'blocks' if scanned else 'blocks/0'
  out = sites[f'{first}/attention/out/kernel']
  batch = (0,) if scanned else ()
  shift = len(batch)
  assert out.axes == {
    'in_axis': (shift, shift + 1),
    'out_axis': (shift + 2,),
    'batch_axis': batch,
  }
  assert sites['embedding/embedding (use 2)'].uses == 2
  assert sum(np.prod(r.iterations, initial=1) for r in found.residuals) == 4
  # The two weights of one site; the input is the embedding's, normalized.
  x = params['embedding']['embedding'][tokens]
  x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(
    x.var(-1, keepdims=True) + 1e-6
  )
  w = (
    params['blocks']['attention']
    if scanned
    else params['blocks'][0]['attention']
  )
  w = w['query']['kernel'][0] if scanned else w['query']['kernel']
  measured = sites[f'{first}/attention/query/kernel'].measured
  assert measured['forward_square'][0].ravel()[0] == pytest.approx(
    _square(jnp.einsum('btd,dhk->bthk', x, w)), rel=1e-5
  )


def test_equinox():
  equinox = pytest.importorskip('equinox')
  swish = lambda h: h / (1 + jnp.exp(-h))
  make = lambda key: equinox.nn.MLP(7, 3, 20, 2, activation=swish, key=key)
  init, apply = adapters.equinox(make)
  x = architectures.examples(16, 7)
  sites, found, params = _audit(init, apply, x)
  assert [a.function for a in found.activations] == ['silu', 'silu']
  first, second, last = params.layers
  s = x @ first.weight.T + first.bias
  assert sites['layers/0/weight'].measured['forward_square'][0] == (
    pytest.approx(_square(s), rel=1e-6)
  )
  u = jax.random.normal(keys.at(keys.stream(keys.root(0), 'down'), 0), (16, 3))
  back = lambda taps: jnp.sum(
    u * (swish(swish(s + taps) @ second.weight.T + second.bias) @ last.weight.T)
  )
  g = jax.grad(back)(jnp.zeros_like(s))
  assert sites['layers/0/weight'].measured['backward_square'][0] == (
    pytest.approx(_square(g), rel=1e-6)
  )


def test_haiku():
  haiku = pytest.importorskip('haiku')

  def network(x):
    x = haiku.BatchNorm(True, True, 0.9)(haiku.Conv2D(8, 3)(x), True)
    x = jnp.mean(jax.nn.relu(x), (1, 2))
    block = lambda x: x + jax.nn.relu(haiku.Linear(8)(x))
    return haiku.Linear(4)(haiku.experimental.layer_stack(3)(block)(x))

  x = architectures.examples(4, 8, 8, 3)
  init, apply = adapters.haiku(haiku.transform_with_state(network), x)
  sites, found, (params, _) = _audit(init, apply, x)
  conv = sites['0/conv2_d/w']
  s = jax.lax.conv_general_dilated(
    x,
    params['conv2_d']['w'],
    (1, 1),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  assert conv.measured['forward_square'][0] == pytest.approx(
    _square(s + params['conv2_d']['b']), rel=1e-6
  )
  (stack,) = (s for s in sites.values() if s.iterations == (3,))
  assert stack.stacked and stack.axes['batch_axis'] == (0,)
  assert stack.residual == 'add 1' and len(found.residuals) == 1
