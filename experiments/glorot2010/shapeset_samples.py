"""Shapeset-3x2: what the images look like, and how often each class comes.

Question:
  Are the images those of the paper's first figure, with the class frequencies
  and the grey levels of the program that draws them?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: figure 1 and section 2.1.
Run:
  python -m experiments.glorot2010.shapeset_samples --side=64,32
Takes:
  Under 20 seconds on two CPU cores (32 seeds of 2,000 images, two sizes).
Expect:
  One or two shapes on a plain background, the front one hiding at most about
  half of the other. The classes are not balanced: 1/6 for each of the three
  single shapes, 1/9 for each pair of two kinds, 1/18 for each of one kind, so
  that a constant guess errs at 83.3% and costs 2.110 nats, not ln 9 = 2.197.
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, formatting, keys, launch, shapeset, stats
from initlab.experiment import (
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerNetworkSample,
  knob,
  of_module,
)

from . import claims_start

_SIDES = (32, 64)
_PRIOR = np.repeat([1 / 6, 1 / 9, 1 / 18], 3)
_SOURCE = f'{claims_start.SOURCE}, section 2.1, and the program of its authors'


@dataclasses.dataclass(frozen=True)
class Config:
  """How large the images are, and how many a seed draws."""

  side: int = knob(64, 'of an image, in pixels: 32 or 64')
  images: int = knob(2000, 'how many a seed draws; the first is shown')

  def __post_init__(self):
    if self.side not in _SIDES:
      raise base.UserError(f'--side={self.side}: 32 or 64')
    if not 1 <= self.images <= 2**20:
      raise base.UserError(f'--images={self.images}: from 1 to {2**20}')


SMOKE = Config(side=32, images=20)


class Result(NamedTuple):
  """Of the images of one seed.

  image: the first one, `[side^2]` pixels in [-1, 1], row by row.
  class_share: `[9]`, in the order of `shapeset.draw`.
  prior_entropy: of those shares, in nats.
  pixel_mean, pixel_square: mean and mean square of all pixels.
  """

  image: PerNetworkSample
  class_share: PerNetworkSample
  prior_entropy: PerNetwork
  pixel_mean: PerNetwork
  pixel_square: PerNetwork


def load(config: Config, data_dir: str) -> None:
  """Nothing: the images are drawn."""
  del config, data_dir


def run(config: Config, key: base.Key, data: None) -> Result:
  """Draws the images of one seed."""
  del data
  batch = shapeset.draw(keys.stream(key, 'data'), config.images, config.side)
  image = batch.x[0].reshape(config.side, config.side).T
  classes = jax.nn.one_hot(batch.y, shapeset.NUM_CLASSES)
  share = jnp.mean(classes, axis=0)
  return Result(
    image=image.ravel(),
    class_share=share,
    prior_entropy=-jnp.sum(jax.scipy.special.xlogy(share, share)),
    pixel_mean=jnp.mean(batch.x),
    pixel_square=jnp.mean(batch.x**2),
  )


def pixels(config: Config) -> int:
  """How many numbers a seed draws."""
  return config.images * config.side**2


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """What follows from the rules alone.

  Colours are swapped half of the time, so that a pixel is dark or light with
  even chances, whatever the shapes. The entropy of the shares of N images falls
  short of the prior's by (9 - 1) / 2 N, to first order.
  """
  del data
  greys = [np.arange(*each) for each in (shapeset.DARK, shapeset.LIGHT)]
  pixels = [2 * each / 255 - 1 for each in greys]
  moment = lambda power: np.mean([np.mean(each**power) for each in pixels])
  entropy = -np.sum(_PRIOR * np.log(_PRIOR))
  return {
    'prior_entropy': np.array(entropy - 4 / config.images),
    'pixel_mean': moment(1),
    'pixel_square': moment(2),
  }


def verdict(outcome: Outcome) -> list[str]:
  """The three shares, and what a constant guess is worth."""
  share = outcome.measured['class_share']
  single, mixed, same = (
    claims.told(stats.mean(share[:, first : first + 3].sum(1)))
    for first in (0, 3, 6)
  )
  best = stats.mean(1 - share[:, :3].mean(1))
  return [
    f'one shape {single} of the images, two of different kinds {mixed}, two of '
    f'one kind {same}',
    f'a constant guess errs at {claims.told(best)}, 5/6 if the shares '
    'are those of the rules',
  ]


def _shares(outcomes: Sequence[Outcome]) -> Finding:
  """The shares of the nine classes, at every size of the images.

  Holds if the intervals of all shares hold the prior's.

  Untested if an interval reaches farther than 1/40 to both sides: a narrower
  one that holds 1/18 or 1/6 excludes the 1/9 of balanced classes.
  """
  settings = claims.every(outcomes)
  cells = len(_PRIOR) * len(settings)
  holds, lines = [], []
  for one in settings:
    share = claims.mean(one.measured['class_share'], cells)
    holds.append(claims.agrees(share, _PRIOR, within=1 / 40))
    told = ', '.join(
      formatting.estimate(share, each) for each in range(len(_PRIOR))
    )
    lines.append(f'side {one.config.side}: {told}')
  return claims.finding(claims.together(holds), '; '.join(lines))


def _pixels(field: str) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The mean of a power of the pixels, at every size of the images.

    Holds if the intervals over seeds hold what follows from the rules.

    Untested if an interval reaches farther than 0.01 to both sides: half a
    percent of the range of a pixel.
    """
    settings = claims.every(outcomes)
    holds, lines = [], []
    for one in settings:
      found = claims.mean(one.measured[field], len(settings))
      said = float(one.predicted[field])
      holds.append(claims.agrees(found, said, within=0.01))
      told = claims.told(found)
      lines.append(f'side {one.config.side}: {told}, said {said:.6f}')
    return claims.finding(claims.together(holds), '; '.join(lines))

  return check


PANELS = (
  Panel('image', 'Shapeset-3x2 (figure 1 of the paper)', 'grey', 'image'),
)

CLAIMS = (
  Claim(
    'classes',
    'The nine classes have probabilities 1/6, 1/9 and 1/18; they are not '
    'balanced.',
    _SOURCE,
    _shares,
  ),
  Claim(
    'mean grey',
    'The mean of a pixel in [-1, 1] is -0.001961, whatever the shapes.',
    'what follows from the rules of the program',
    _pixels('pixel_mean'),
  ),
  Claim(
    'mean square grey',
    'Its mean square is 0.371965.',
    'what follows from the rules of the program',
    _pixels('pixel_square'),
  ),
)

EXPERIMENT = of_module(
  __name__,
  parameters=pixels,
  defaults={'side': '64,32'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
