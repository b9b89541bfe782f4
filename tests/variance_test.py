"""The verdict of the variance experiment, where there is little to say, too."""

import numpy as np
import pytest

from experiments import variance
from initlab import base


def _outcome(layers, seeds=3, **knobs):
  """A setting of one measure at every seed, of `[L]` standard deviations."""
  stds = np.tile(np.array(layers, float), (seeds, 1))
  with np.errstate(invalid='ignore'):
    ratio = stds[:, 0] / stds[:, -1]
  return base.Outcome(
    config=variance.Config(widths=(20,) * (len(layers) - 1), **knobs),
    label='it',
    seeds=np.arange(seeds),
    measured={
      'activation_std': stds,
      'gradient_std': stds.copy(),
      'gradient_norm_ratio': ratio,
      'cost': np.full(seeds, 2.2),
    },
    predicted={},
  )


@pytest.mark.parametrize(
  'knobs', [{'init': 'zeros'}, {'gain': '0'}, {'init': 'constant'}]
)
@pytest.mark.parametrize('seeds', [1, 3])
def test_where_there_is_no_signal_nothing_is_counted(knobs, seeds):
  lines = variance.verdict(_outcome((0, 0, 0, 0), seeds, **knobs))
  assert sum('there is no signal' in line for line in lines) == 2
  assert 'weight gradients: the first layer has none' in lines
  assert 'nan' not in ' '.join(lines)


def test_a_verdict_says_of_how_many_seeds_it_is():
  outcome = _outcome((1, 0.5, 0.25, 0.125), seeds=6)
  outcome.measured['activation_std'][0] = 0
  up, down = variance.verdict(outcome)[:2]
  assert 'halves every 0.5 layers; variance x 0.25' in up
  assert '(5 of 6 seeds)' in up
  assert (
    'doubles every 0.5 layers; variance x 4.000 [4.000, 4.000] a layer' in down
  )
  assert 'seeds' not in down
