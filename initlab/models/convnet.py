"""A small residual convolutional network, without normalization unless asked.

    x = convolution(image, stem)
    x = x + alpha * convolution(f(convolution(f(x), first)), second)   (blocks)
    logits = mean over pixels of f(x) readout + bias

Convolutions are 3 x 3 with padding 'SAME'. Every block has a scalar alpha, 1
unless told otherwise; 0 is SkipInit. Blocks are stacked and scanned, as in
`transformer`. Every further stage has twice the channels and half the pixels,
and begins with a block whose skip is a convolution, too,

    x = convolution(f(x), shortcut) + alpha * convolution(f(...), second).

References:
  He et al., 2016, Identity mappings in deep residual networks, figure 4e.
  https://arxiv.org/abs/1603.05027
  De & Smith, 2020, SkipInit. https://arxiv.org/abs/2002.10444
  Brock, De & Smith, 2021, normalizer-free networks and scaled weight
  standardization. https://arxiv.org/abs/2101.08692
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base
from initlab.models import leaves
from initlab.models.leaves import Leaf

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')
_EPSILON = 1e-5
_NORMS = ('none', 'batch', 'expected')


@dataclasses.dataclass(frozen=True)
class Config:
  """What a ConvNet is made of.

  channels: of the image.
  classes: how many logits there are.
  width: channels of the residual stream, in the first stage.
  blocks: of two convolutions each, in every stage.
  stages: how many there are.
  """

  channels: int
  classes: int
  width: int = 16
  blocks: int = 3
  stages: int = 1

  def __post_init__(self):
    for field in dataclasses.fields(self):
      what = f'{field.name} of a ConvNet'
      base.check_whole(getattr(self, field.name), 1, what)


def declared(config: Config) -> Any:
  """The leaves, a pytree of `Leaf`: shapes, default schemes and axes."""
  n = config.width
  last = n * 2 ** (config.stages - 1)
  layout = {'in_axis': -2, 'out_axis': -1}
  found: dict[str, Any] = {
    'stem': Leaf((3, 3, config.channels, n), 'lecun_normal', layout),
    'blocks': _stack(n, config.blocks),
    'readout': {
      'kernel': Leaf((last, config.classes), 'lecun_normal', layout),
      'bias': Leaf((config.classes,), 'zeros'),
    },
  }
  if config.stages > 1:
    found['stages'] = [
      _stage(n * 2**index, config.blocks) for index in range(config.stages - 1)
    ]
  return found


def _stack(n: int, blocks: int) -> dict[str, Leaf]:
  """The blocks of a stage."""
  layout = {'in_axis': -2, 'out_axis': -1, 'batch_axis': 0}
  kernel = Leaf((blocks, 3, 3, n, n), 'he', layout)
  return {
    'alpha': Leaf((blocks,), 'ones'),
    'first': kernel,
    'second': kernel,
  }


def _stage(n: int, blocks: int) -> dict[str, Any]:
  """A stage after one of n channels."""
  layout = {'in_axis': -2, 'out_axis': -1}
  kernel = lambda side, n: Leaf((side, side, n[0], n[1]), 'he', layout)
  return {
    'down': {
      'alpha': Leaf((), 'ones'),
      'first': kernel(3, (n, 2 * n)),
      'second': kernel(3, (2 * n, 2 * n)),
      'shortcut': kernel(1, (n, 2 * n)),
    },
    'blocks': _stack(2 * n, blocks),
  }


def init(
  key: base.Key, config: Config, choice: leaves.Choice | None = None
) -> Any:
  """Draws a ConvNet.

  Args:
    key: it is consumed.
    config: its sizes.
    choice: patterns of names and the schemes that draw the leaves that they
      match, as in `{'*/alpha': 'zeros'}`, see `leaves.draw`.

  Returns:
    A tree of arrays; `declared` has their names and shapes.
  """
  return leaves.draw(key, declared(config), choice)


def apply(
  params: Any,
  images: base.Array,
  *,
  activation: base.Activation = jax.nn.relu,
  branch: float = 1.0,
  norm: str = 'none',
  standardize: bool = False,
) -> base.Array:
  """The logits of images.

  Args:
    params: as `init` draws them.
    images: `[B, H, W, channels]`.
    activation: f, elementwise.
    branch: what multiplies each residual branch, beside alpha.
    norm: what a convolution reads. 'none': f(x). 'batch': (f(x) - mean) / std,
      of each channel over the batch and its pixels. 'expected': f(x / q) with
      q^2 = 1 + l branch^2 of the l-th block of a stage, the variance that x has
      if f and the convolutions keep it: normalizer-free networks.
    standardize: whether the kernel w of each output is used as (w - mean) /
      (std sqrt(n_in)): scaled weight standardization.

  Returns:
    `[B, classes]`.

  Raises:
    UserError: there is no such norm.
  """
  base.lookup(dict.fromkeys(_NORMS), 'norm', norm)
  convolve = _standardized if standardize else _convolution

  def read(x: base.Array, variance: base.Array | float = 1.0) -> base.Array:
    if norm == 'expected':
      x = x / jnp.sqrt(variance)
    h = activation(x)
    return _batch_norm(h) if norm == 'batch' else h

  def inner(h: base.Array, layer: Any, stride: int = 1) -> base.Array:
    y = convolve(h, layer['first'], stride)
    y = convolve(read(y), layer['second'])
    return branch * layer['alpha'] * y

  def block(
    x: base.Array, slices: tuple[Any, base.Array]
  ) -> tuple[base.Array, None]:
    layer, variance = slices
    return x + inner(read(x, variance), layer), None

  def stack(x: base.Array, layers: Any, first: int) -> tuple[base.Array, float]:
    """Blocks after so many of their stage; and the variance after them."""
    last = first + len(layers['alpha'])
    variances = 1 + branch**2 * np.arange(first, last, dtype=np.float32)
    x, _ = jax.lax.scan(block, x, (layers, jnp.asarray(variances)))
    return x, 1 + branch**2 * last

  x, variance = stack(convolve(images, params['stem']), params['blocks'], 0)
  for stage in params.get('stages', ()):
    h, down = read(x, variance), stage['down']
    x = convolve(h, down['shortcut'], 2) + inner(h, down, 2)
    x, variance = stack(x, stage['blocks'], 1)
  pooled = jnp.mean(read(x, variance), axis=(1, 2))
  return pooled @ params['readout']['kernel'] + params['readout']['bias'][None]


def _convolution(
  x: base.Array, kernel: base.Array, stride: int = 1
) -> base.Array:
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), 'SAME', dimension_numbers=_LAYOUT
  )


def _standardized(
  x: base.Array, kernel: base.Array, stride: int = 1
) -> base.Array:
  axes = (0, 1, 2)
  n_in = kernel[..., 0].size
  centred = kernel - jnp.mean(kernel, axes, keepdims=True)
  square = jnp.mean(centred**2, axes, keepdims=True)
  scale = jax.lax.rsqrt(n_in * (square + _EPSILON / n_in))
  return _convolution(x, centred * scale, stride)


def _batch_norm(x: base.Array) -> base.Array:
  axes = (0, 1, 2)
  centred = x - jnp.mean(x, axes, keepdims=True)
  square = jnp.mean(centred**2, axes, keepdims=True)
  return centred * jax.lax.rsqrt(square + _EPSILON)
