"""The ConvNet: against plain NumPy, and SkipInit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, kernels, keys
from initlab.models import convnet, leaves

_CONFIG = convnet.Config(channels=2, classes=3, width=4, blocks=2)


def _inputs():
  """Any weights, and two images."""
  rng = np.random.default_rng(0)
  draw = lambda leaf: jnp.float32(rng.standard_normal(leaf.shape) / 3)
  is_leaf = lambda node: isinstance(node, leaves.Leaf)
  params = jax.tree.map(draw, convnet.declared(_CONFIG), is_leaf=is_leaf)
  return params, jnp.float32(rng.standard_normal((2, 5, 4, 2)))


def _convolved(x, kernel, stride=1):
  """Images, pixel by pixel; 'SAME' pads more at the end than at the start."""
  side = kernel.shape[0]
  rows, columns = (-(-size // stride) for size in x.shape[1:3])
  pads = [
    max((out - 1) * stride + side - size, 0)
    for out, size in zip((rows, columns), x.shape[1:3], strict=True)
  ]
  around = [(0, 0), *((each // 2, each - each // 2) for each in pads), (0, 0)]
  padded = np.pad(x, around)
  out = np.zeros((len(x), rows, columns, kernel.shape[-1]))
  for i, j in np.ndindex(rows, columns):
    top, left = i * stride, j * stride
    window = padded[:, top : top + side, left : left + side]
    out[:, i, j] = np.tensordot(window, kernel, axes=3)
  return out


def _normalized(x, axes):
  return (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)


def _by_hand(params, x, norm='none', branch=1.0, standardize=False):
  """The logits, in float64."""
  params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

  def convolved(x, kernel, stride=1):
    if standardize:
      n_in = kernel[..., 0].size
      centred = kernel - kernel.mean((0, 1, 2))
      scale = np.sqrt(n_in * (centred**2).mean((0, 1, 2)) + 1e-5)
      kernel = centred / scale
    return _convolved(x, kernel, stride)

  def read(x, variance=1.0):
    h = np.maximum(x / (variance**0.5 if norm == 'expected' else 1), 0)
    return _normalized(h, (0, 1, 2)) if norm == 'batch' else h

  def end(h, layer, stride=1):
    inner = read(convolved(h, layer['first'], stride))
    return branch * layer['alpha'] * convolved(inner, layer['second'])

  x, variance = convolved(np.asarray(x, np.float64), params['stem']), 1.0
  for stage in ({'blocks': params['blocks']}, *params.get('stages', ())):
    if 'down' in stage:
      h, down = read(x, variance), stage['down']
      x = convolved(h, down['shortcut'], 2) + end(h, down, 2)
      variance = 1 + branch**2
    for index in range(len(stage['blocks']['alpha'])):
      layer = {name: leaf[index] for name, leaf in stage['blocks'].items()}
      x = x + end(read(x, variance), layer)
      variance += branch**2
  readout = params['readout']
  pooled = read(x, variance).mean(axis=(1, 2))
  return pooled @ readout['kernel'] + readout['bias']


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'norm': 'batch'},
    {'norm': 'expected', 'branch': 0.5, 'standardize': True},
  ],
)
def test_the_logits_are_those_of_plain_numpy(options):
  params, x = _inputs()
  # Five sums of at most 36 products of order one; normalized ones are amplified
  # where a channel is nearly constant.
  np.testing.assert_allclose(
    convnet.apply(params, x, **options),
    _by_hand(params, x, **options),
    atol=2e-5,
  )


def test_stages_begin_with_a_convolution_in_place_of_the_skip():
  config = convnet.Config(channels=2, classes=3, width=2, blocks=1, stages=2)
  params = convnet.init(keys.root(0), config)
  _, x = _inputs()
  options = {'norm': 'expected', 'branch': 0.7}
  np.testing.assert_allclose(
    convnet.apply(params, x, **options),
    _by_hand(params, x, **options),
    atol=1e-5,
  )
  assert params['stages'][0]['blocks']['first'].shape == (1, 3, 3, 4, 4)


def test_an_unknown_norm_is_refused():
  params, x = _inputs()
  with pytest.raises(base.UserError, match='batch, expected'):
    convnet.apply(params, x, norm='layer')


def test_skipinit_is_a_shallow_network():
  params, x = _inputs()
  params['blocks']['alpha'] *= 0
  empty = {**params, 'blocks': jax.tree.map(lambda w: w[:0], params['blocks'])}
  np.testing.assert_array_equal(
    convnet.apply(params, x), convnet.apply(empty, x)
  )


def test_init_draws_what_is_declared():
  choice = {'*': 'zeros', '*/alpha': 'ones'}
  params = convnet.init(keys.root(0), _CONFIG, choice)
  np.testing.assert_array_equal(params['blocks']['alpha'], [1, 1])
  assert params['blocks']['first'].shape == (2, 3, 3, 4, 4)
  first = convnet.declared(_CONFIG)['blocks']['first']
  assert kernels.fans(first.shape, **first.axes) == (36, 36)


def test_bad_sizes_are_refused():
  with pytest.raises(base.UserError, match='width'):
    convnet.Config(channels=3, classes=10, width=0)
