"""Does the best learning rate of a narrow network serve a wide one?

Question:
  The learning rate is tuned at one width. Where is the best rate at another?
Paper:
  Yang et al., Tensor Programs V: Tuning large neural networks via zero-shot
  hyperparameter transfer, 2022, figure 1: there, transformers of width 128 to
  8192.
Run:
  python -m experiments.atlas.rate_transfer --width=64,512
Takes:
  Two minutes on two CPU cores (54 settings of 8 seeds).
Expect:
  In muP the best rate of Adam stays within an octave; in standard
  parametrization it falls as the width grows.
"""

from typing import Annotated, NamedTuple

import numpy as np

from initlab import claims, experiment, keys, launch, minibatches, networks
from initlab import panels, stats, training
from initlab.experiment import GEOMETRIC, PerNetwork, knob

from . import wide_networks

_OCTAVE = 1.0


@experiment.config
class Config(wide_networks.Wide):
  """A network, and how it is trained."""

  batch_size: int = knob(64, 'examples of a step', least=1)
  steps: int = knob(100, 'how many steps are taken', least=1)
  examples: int = knob(1000, 'training examples', least=1)


SMOKE = Config(
  width=4, base_width=2, dataset='xor', examples=4, batch_size=2, steps=3
)
SWEEP = {
  'parametrization': ('mup', 'standard'),
  'width': (64, 256, 512),
  'learning_rate': tuple(2.0**power for power in range(-13, -4)),
}


class Result(NamedTuple):
  """After the last step; NaN if a seed diverges.

  mean_loss: the mean loss of the training examples.
  """

  mean_loss: Annotated[PerNetwork, GEOMETRIC]


load = networks.load('train')


def examples(config: Config, key, data):
  """The minibatches of a seed."""
  key = keys.stream(key, 'data')
  return minibatches.shuffled(key, data, config.batch_size)


def record(config: Config, network, data, kept):
  """The loss of all examples."""
  del kept
  loss, _ = networks.evaluate(config, network.params, data)
  return {'mean_loss': loss}


TRAINING = training.of_networks(
  Result,
  record,
  optimizer=Config.optimizer,
  examples=examples,
  every=lambda config: config.steps,
)


def verdict(outcome):
  """The loss after the last step."""
  loss = stats.average(outcome, 'mean_loss')
  return [f'training loss {loss} after {outcome.config.steps} steps']


def best_rates(settings) -> np.ndarray:
  """log2 of the best rate of each seed, `[S]`.

  The vertex of the parabola through the log loss at the best rate and at its
  two neighbours, in log2 of the rate.

  Args:
    settings: of one width, at rates that are a constant factor apart.

  Raises:
    Untested: of a seed the best rate is the least or the largest, or it or a
      neighbour diverged.
  """
  settings = sorted(settings, key=lambda each: each.config.learning_rate)
  rates = np.log2([each.config.learning_rate for each in settings])
  logs = np.log(np.stack([each.measured['mean_loss'] for each in settings]))
  found = []
  for seed in np.where(np.isfinite(logs), logs, np.inf).T:
    least = int(np.argmin(seed))
    near = seed[max(least - 1, 0) : least + 2]
    if len(near) < 3 or not np.isfinite(near).all():
      raise claims.Untested(f'{settings[0].label}: no best rate in the range')
    left, middle, right = near
    shift = (left - right) / (left - 2 * middle + right) / 2
    found.append(rates[least] + shift * (rates[1] - rates[0]))
  return np.array(found)


@claims.claim('atlas 9, transfer', 'Yang et al., 2022, figure 1')
def transfer(outcomes):
  """In muP the best rate stays within an octave; in SP it moves by more.

  Holds if the interval of the change of log2 of the best rate from the
  narrowest to the widest networks, paired by seed, lies between -1 and 1 with
  mup, and wholly outside with standard.

  Untested if the widths do not span a factor of 8, or the best rate of a seed
  at one of the two widths is at an end of the rates.
  """
  found = {}
  for name in ('mup', 'standard'):
    settings = claims.every(outcomes, parametrization=name)
    widths = [each.config.width for each in settings]
    if max(widths) < 8 * min(widths):
      raise claims.Untested(f'no range of widths with {name}')
    narrow, wide = (
      best_rates(claims.every(settings, width=end))
      for end in (min(widths), max(widths))
    )
    found[name] = claims.mean(wide - narrow)
  moves = found['standard']
  away = moves.high < -_OCTAVE or moves.low > _OCTAVE
  return claims.finding(
    found['mup'].within(-_OCTAVE, _OCTAVE) and away,
    '; '.join(f'{name}: {each} octaves' for name, each in found.items()),
  )


PANELS = (
  panels.Sweep(
    'mean_loss', 'Loss against the rate', 'loss', knob='learning_rate', log=True
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:8'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
