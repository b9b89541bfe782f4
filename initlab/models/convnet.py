"""A small residual convolutional network without normalization.

    x = convolution(image, stem)
    x = x + alpha * convolution(f(convolution(f(x), first)), second)   (blocks)
    logits = mean over pixels of f(x) readout + bias

Convolutions are 3 x 3 with padding 'SAME'. Every block has a scalar alpha, 1
unless told otherwise; 0 is SkipInit. Blocks are stacked and scanned, as in
`transformer`.

References:
  He et al., 2016, Identity mappings in deep residual networks, figure 4e.
  https://arxiv.org/abs/1603.05027
  De & Smith, 2020, SkipInit. https://arxiv.org/abs/2002.10444
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base
from initlab.models import leaves
from initlab.models.leaves import Leaf

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


@dataclasses.dataclass(frozen=True)
class Config:
  """What a ConvNet is made of.

  channels: of the image.
  classes: how many logits there are.
  width: channels of the residual stream.
  blocks: of two convolutions each.
  """

  channels: int
  classes: int
  width: int = 16
  blocks: int = 3

  def __post_init__(self):
    for field in dataclasses.fields(self):
      if getattr(self, field.name) < 1:
        raise base.UserError(f'{field.name} of a ConvNet is at least 1')


def declared(config: Config) -> Any:
  """The leaves, a pytree of `Leaf`: shapes, default schemes and axes."""
  n, blocks = config.width, config.blocks
  layout = {'in_axis': -2, 'out_axis': -1}
  stacked = Leaf((blocks, 3, 3, n, n), 'he', {**layout, 'batch_axis': 0})
  return {
    'stem': Leaf((3, 3, config.channels, n), 'lecun_normal', layout),
    'blocks': {
      'alpha': Leaf((blocks,), 'ones'),
      'first': stacked,
      'second': stacked,
    },
    'readout': {
      'kernel': Leaf((n, config.classes), 'lecun_normal', layout),
      'bias': Leaf((config.classes,), 'zeros'),
    },
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
) -> base.Array:
  """The logits of images.

  Args:
    params: as `init` draws them.
    images: `[B, H, W, channels]`.
    activation: f, elementwise.

  Returns:
    `[B, classes]`.
  """

  def block(x: base.Array, layer: Any) -> tuple[base.Array, None]:
    y = _convolution(activation(x), layer['first'])
    y = _convolution(activation(y), layer['second'])
    return x + layer['alpha'] * y, None

  x, _ = jax.lax.scan(
    block, _convolution(images, params['stem']), params['blocks']
  )
  pooled = jnp.mean(activation(x), axis=(1, 2))
  return pooled @ params['readout']['kernel'] + params['readout']['bias'][None]


def _convolution(x: base.Array, kernel: base.Array) -> base.Array:
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=_LAYOUT
  )
