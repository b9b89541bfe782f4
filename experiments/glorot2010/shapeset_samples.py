"""Shapeset-3x2: sample images and class frequencies.

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
  single shapes, 1/9 for each pair of two kinds, 1/18 for each of one kind, so a
  constant guess errs at 83.3% and its loss is 2.110 nats, not ln 9 = 2.197.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, keys, launch, panels, shapeset
from initlab import stats
from initlab.experiment import PerNetwork, PerNetworkSample, knob

from . import SOURCE

_SIDES = (32, 64)
_PRIOR = np.repeat([1 / 6, 1 / 9, 1 / 18], 3)


@experiment.config
class Config:
  """The size of the images, and their number per seed."""

  side: int = knob(64, 'of an image, in pixels: 32 or 64')
  images: int = knob(
    2000, 'images per seed; the first is shown', least=1, most=2**20
  )

  def check(self):
    """Refuses other sizes of images."""
    if self.side not in _SIDES:
      raise base.UserError(f'--side={self.side}: 32 or 64')

  def draw(self, key: base.Key) -> base.Batch:
    """The images of a seed."""
    return shapeset.draw(keys.stream(key, 'data'), self.images, self.side)


SMOKE = Config(side=32, images=20)
SWEEP = {'side': (64, 32)}


class Result(NamedTuple):
  """Statistics of the images of one seed.

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


def run(config: Config, key: base.Key, data: None) -> Result:
  """Draws the images of one seed."""
  del data
  batch = config.draw(key)
  image = batch.x[0].reshape(config.side, config.side).T
  share = jnp.mean(jax.nn.one_hot(batch.y, shapeset.NUM_CLASSES), axis=0)
  return Result(
    image=image.ravel(),
    class_share=share,
    prior_entropy=-jnp.sum(jax.scipy.special.xlogy(share, share)),
    pixel_mean=jnp.mean(batch.x),
    pixel_square=jnp.mean(batch.x**2),
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """The values that follow from the rules of the program.

  Colours are swapped with probability 1/2, so every pixel is dark or light with
  equal probability. The expected entropy of the class shares of N images is
  lower than that of the prior by (9 - 1) / 2 N, to first order.
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


def verdict(outcome):
  """The shares of the three kinds of images, and a constant guess's error."""
  share = outcome.measured['class_share']
  single, mixed, same = (
    stats.mean(share[:, first : first + 3].sum(1)) for first in (0, 3, 6)
  )
  best = stats.mean(1 - share[:, :3].mean(1))
  return [
    f'one shape {single} of the images, two of different kinds {mixed}, two of '
    f'one kind {same}',
    f'a constant guess errs at {best}; by the rules, at 5/6',
  ]


@claims.claim(
  'classes', f'{SOURCE}, section 2.1, and the program of its authors'
)
def classes(outcomes):
  """The nine classes have probabilities 1/6, 1/9 and 1/18; they are not
  balanced.

  Holds if the intervals of the shares of all classes, at every size of the
  images, contain the prior's.

  Untested if an interval reaches farther than 1/40 to both sides: a narrower
  one that contains 1/18 or 1/6 excludes the 1/9 of balanced classes.
  """
  settings = claims.every(outcomes)
  holds, lines = [], []
  for one in settings:
    cells = len(_PRIOR) * len(settings)
    share = claims.mean(one.measured['class_share'], cells)
    holds.append(claims.agrees(share, _PRIOR, within=1 / 40))
    told = ', '.join(f'{share.at(each)}' for each in range(len(_PRIOR)))
    lines.append(f'side {one.config.side}: {told}')
  return claims.finding(claims.together(holds), '; '.join(lines))


_RULES = 'what follows from the rules of the program'


@claims.claim('mean grey', _RULES)
def mean_grey(outcomes):
  """The mean of a pixel in [-1, 1] is -0.001961, whatever the shapes.

  Holds if the intervals over seeds, at every size of the images, contain what
  follows from the rules.

  Untested if an interval reaches farther than 0.01 to both sides: half a
  percent of the range of a pixel.
  """
  return _moment(outcomes, 'pixel_mean')


@claims.claim('mean square grey', _RULES)
def mean_square_grey(outcomes):
  """Its mean square is 0.371965.

  Holds if the intervals of the mean square contain it, as for 'mean grey'.

  Untested as 'mean grey'.
  """
  return _moment(outcomes, 'pixel_square')


def _moment(outcomes, field):
  settings = claims.every(outcomes)
  holds, lines = [], []
  for one in settings:
    found = claims.mean(one.measured[field], len(settings))
    said = float(one.predicted[field])
    holds.append(claims.agrees(found, said, within=0.01))
    lines.append(f'side {one.config.side}: {found}, by the rules {said:.6f}')
  return claims.finding(claims.together(holds), '; '.join(lines))


PANELS = (
  panels.Image('image', 'Shapeset-3x2 (figure 1 of the paper)', 'grey'),
)
EXPERIMENT = experiment.of_module(__name__)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
