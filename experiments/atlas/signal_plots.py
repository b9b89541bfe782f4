"""Signal propagation plots of residual ConvNets, and what keeps them level.

Question:
  How do means and variances of channels change from block to block of a deep
  residual ConvNet with batch normalization, and of normalizer-free ones with
  and without scaled weight standardization?
Paper:
  Brock, De & Smith, Characterizing signal propagation to close the performance
  gap in unnormalized ResNets, 2021, sections 3 and 4 and their plots.
Run:
  python -m experiments.atlas.signal_plots --norm=batch,standardized
Takes:
  Two minutes on two CPU cores (3 settings of 16 seeds).
Expect:
  With batch normalization in front of each convolution the variance grows by 1
  a block and falls back at each stage. In normalizer-free networks the means of
  channels grow, unless kernels are standardized.
"""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, experiment, keys, launch, panels, stats
from initlab.experiment import GEOMETRIC, PerLayer, knob
from initlab.models import convnet, snapshot

from . import claims_signal_plots


@experiment.config
class Config:
  """Stages of blocks, each of twice the channels and half the pixels."""

  norm: str = knob(
    'batch',
    'batch normalizes the activations in front of each convolution; expected '
    'divides the stream by the deviation that it should have; standardized '
    'does, too, and standardizes the kernels',
    ('batch', 'expected', 'standardized'),
  )
  width: int = knob(16, 'channels of the first stage', least=1)
  blocks: int = knob(6, 'of a stage, beside the one that starts it', least=2)
  stages: int = knob(3, 'how many there are', least=1)
  side: int = knob(32, 'pixels of an image, along a side', least=8)
  images: int = knob(8, 'of the batch, normal noise', least=1)
  branch: float = knob(
    0.2, 'what multiplies branches of normalizer-free networks', above=0
  )

  def draw(self, key: base.Key) -> Any:
    """The parameters, of kernels with variance 1 / n_in."""
    sizes = convnet.Config(
      channels=3,
      classes=10,
      width=self.width,
      blocks=self.blocks,
      stages=self.stages,
    )
    names = ('*/first', '*/second', '*/shortcut')[: 3 if self.stages > 1 else 2]
    chosen = dict.fromkeys(names, 'lecun_normal')
    return convnet.init(keys.stream(key, 'init'), sizes, chosen)

  def scale(self) -> float:
    """Of the branches."""
    return 1.0 if self.norm == 'batch' else self.branch

  def gain(self) -> float:
    """g, for which g relu(x) has E h^2 = 1, or Var h = 1 if standardized."""
    return (2 / (1 - 1 / np.pi) if self.norm == 'standardized' else 2) ** 0.5

  def output(self, params: Any, images: base.Array) -> base.Array:
    """The logits."""
    return convnet.apply(
      params,
      images,
      activation=lambda x: self.gain() * jax.nn.relu(x),
      branch=self.scale(),
      norm='batch' if self.norm == 'batch' else 'expected',
      standardize=self.norm == 'standardized',
    )


SMOKE = Config(width=2, blocks=2, stages=2, side=8, images=2)
SWEEP = {'norm': ('batch', 'expected', 'standardized')}


class Result(NamedTuple):
  """Of the stream in front of each block; means over channels.

  variance: of a channel, over images and pixels.
  mean_square: of the mean of a channel.
  branch_variance: as variance, of the end of the branch before it is scaled.
  """

  variance: Annotated[PerLayer, GEOMETRIC]
  mean_square: PerLayer
  branch_variance: Annotated[PerLayer, GEOMETRIC]


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw, and one batch of noise."""
  del data
  shape = (config.images, config.side, config.side, 3)
  batch = (jax.random.normal(keys.stream(key, 'data'), shape),)
  look = snapshot.of_model(config.draw, config.output, batch)
  found = look(config.draw(key), batch, keys.stream(key, 'down'))
  # A stage is a loop over its blocks; the block that starts it is in none.
  stages = [add for add in found.residuals if add['skip_rms'].ndim]
  each = {
    name: jnp.concatenate([stage[name] for stage in stages]) ** 2
    for name in ('skip_rms', 'skip_offset', 'branch_rms', 'branch_offset')
  }
  branch = each['branch_rms'] - each['branch_offset']
  return Result(
    variance=each['skip_rms'] - each['skip_offset'],
    mean_square=each['skip_offset'],
    branch_variance=branch / config.scale() ** 2,
  )


def inside(config: Config) -> np.ndarray:
  """The share of a kernel's taps inside of the image, of every stage.

  (1 - 2 / (3 n))^2 of 3 x 3 taps and n x n pixels; the rest is padding.
  """
  side = config.side / 2.0 ** np.arange(config.stages)
  return (1 - 2 / (3 * side)) ** 2


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Every branch adds its scale squared, but for the padding; no means.

  After a stage begins the stream is a convolution of what is normalized, with
  variance 1, and the end of a branch.
  """
  del data
  if config.norm == 'expected':
    return {}
  share, count = inside(config), np.arange(config.blocks)
  added = config.scale() ** 2 * share[:, None]
  first = np.ones((config.stages, 1)) + added
  first[0] = share[0]
  zero = np.zeros(config.blocks * config.stages)
  return {
    'variance': (first + added * count).ravel(),
    'mean_square': zero,
    'branch_variance': zero + np.repeat(share, config.blocks),
  }


def verdict(outcome):
  """The ends."""
  last = outcome._replace(
    measured={k: v[:, -1] for k, v in outcome.measured.items()}
  )
  variance, mean = (
    stats.average(last, name) for name in ('variance', 'mean_square')
  )
  return [
    f'in front of the last block channels have a variance of {variance} and '
    f'means of a mean square of {mean}'
  ]


PANELS = (
  panels.Depth(
    'variance', 'Variance of channels', 'average variance', over='block'
  ),
  panels.Depth(
    'mean_square', 'Means of channels', 'average squared mean', over='block'
  ),
  panels.Depth(
    'branch_variance',
    'Variance of the branches',
    'average variance',
    over='block',
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_signal_plots.CLAIMS, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
