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


def _convolved(x, kernel):
  """One image, pixel by pixel."""
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  out = np.zeros((*x.shape[:2], kernel.shape[-1]))
  for i, j in np.ndindex(*x.shape[:2]):
    out[i, j] = np.tensordot(padded[i : i + 3, j : j + 3], kernel, axes=3)
  return out


def _by_hand(params, x):
  params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
  relu = lambda x: np.maximum(x, 0)
  blocks = params['blocks']
  x = _convolved(np.asarray(x, np.float64), params['stem'])
  for alpha, first, second in zip(*map(blocks.get, blocks), strict=True):
    branch = _convolved(relu(_convolved(relu(x), first)), second)
    x = x + alpha * branch
  readout = params['readout']
  return relu(x).mean(axis=(0, 1)) @ readout['kernel'] + readout['bias']


def test_the_logits_are_those_of_plain_numpy():
  params, x = _inputs()
  hand = [_by_hand(params, image) for image in x]
  # Five sums of at most 36 products of order one.
  np.testing.assert_allclose(convnet.apply(params, x), hand, atol=1e-5)


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
