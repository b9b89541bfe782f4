"""The verdict of the variance experiment, where there is little to say, too."""

import numpy as np
import pytest

from initlab import base
from initlab.experiment import Outcome
from initlab.instruments import variance


def _outcome(layers, seeds=3, offsets=0.0, predicted=(), **knobs):
  """A setting of one measure at every seed, of `[L]` standard deviations.

  offsets: variance that all units have beside it, the same for all examples.
  """
  stds = np.tile(np.array(layers, float), (seeds, 1))
  whole = np.sqrt(stds**2 + offsets)
  with np.errstate(invalid='ignore'):
    ratio = stds[:, 0] / stds[:, -1]
  return Outcome(
    config=variance.Config(widths=(20,) * (len(layers) - 1), **knobs),
    label='it',
    seeds=np.arange(seeds),
    measured={
      'activation_within_std': stds,
      'activation_std': whole,
      'activation_mean': np.zeros_like(stds),
      'example_cosine': np.full_like(stds, 0.5),
      'gradient_within_std': stds.copy(),
      'gradient_std': whole.copy(),
      'gradient_norm_ratio': ratio,
      'mean_loss': np.full(seeds, 2.2),
    },
    predicted=dict(predicted),
  )


def _lines(outcome):
  """What each line starts with -> the line."""
  return {line.split(':')[0]: line for line in variance.verdict(outcome)}


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
  outcome.measured['activation_within_std'][0] = 0
  lines = _lines(outcome)
  up, down = lines['upward, the signal'], lines['downward, the gradient']
  assert 'halves every 0.5 layers; variance x 0.25' in up
  assert '(5 of 6 seeds)' in up
  assert (
    'doubles every 0.5 layers; variance x 4.000 [4.000, 4.000] a layer' in down
  )
  assert 'seeds' not in down


def test_offsets_are_told_from_the_signal():
  """The signal falls to nothing beside offsets that stay."""
  outcome = _outcome(0.1 ** np.arange(7.0), offsets=1e-2)
  lines = _lines(outcome)
  assert 'variance x 0.01' in lines['upward, the signal']
  both = lines['upward, the signal and its offsets']
  assert 'settles from hidden layer 3 on' in both and 'variance x' not in both
  assert 'offsets' in lines['two examples']
  assert 'upward, the signal and its offsets' not in _lines(_outcome([1] * 4))


def test_a_signal_below_the_rounding_of_float32_is_cut_off():
  outcome = _outcome(0.1 ** np.arange(12.0), offsets=1.0)
  line = _lines(outcome)['upward, the signal']
  assert 'from hidden layer 8 on it is below the rounding of float32' in line
  assert 'variance x 0.01' in line


def test_no_rate_is_stated_of_a_profile_that_has_none():
  stds = 1 / np.arange(1, 40.0)
  line = _lines(_outcome(stds))['upward, the signal']
  assert 'changes at no constant rate' in line and 'a layer' not in line


def test_random_biases_are_named():
  laws = {
    'activation_std': np.full(4, 0.3),
    'activation_mean': np.zeros(4),
    'width_error': np.zeros(4),
  }
  alone = lambda init: next(
    line
    for line in variance.verdict(
      _outcome((1, 0.6, 0.4, 0.3), predicted=laws, init=init)
    )
    if line.startswith('the weights alone')
  )
  # Var[b] = 1 / 60, and n_in Var[w] E z^2 = 0.09 / 3: 36% of the whole.
  assert 'random biases add Var[b] = 0.0167, 36% of the variance' in alone(
    'torch'
  )
  assert 'random biases' not in alone('standard')


def test_theory_beyond_its_width_says_so():
  """An error of 0.4 in log variance over 2 steps, beside an exact rate."""
  theory = {
    'activation_within_std': np.array([1, 0.6, 0.36, 0.3]),
    'width_error': np.array([0.2, 0.3, 0.4, 0.5]),
  }
  outcome = _outcome((1, 0.6, 0.36, 0.3), predicted=theory)
  line = _lines(outcome)['upward, the signal']
  assert 'theory 0.36 at infinite width, accurate here to about 20.0%' in line


def test_the_width_of_a_relu_network_is_in_its_theory():
  noise = np.array([0.1, 0.2, 0.3, 0.4])
  theory = {
    'activation_std': np.exp(-noise / 4),
    'finite_width': noise,
    'width_error': noise,
  }
  outcome = _outcome((1, 0.98, 0.96, 0.9), offsets=0.5, predicted=theory)
  line = _lines(outcome)['upward, the signal and its offsets']
  # A step adds 0.1 to v: exp(-0.1 / 2), and sqrt(0.2) / 2 is the spread.
  assert 'theory 0.951 at this width' in line
  assert 'differ by a factor of 1.25; 1 at infinite width' in line


def test_there_is_no_theory_of_sparse_weights():
  lines = _lines(_outcome((1, 1, 1, 1), init='sparse'))
  assert 'too few inputs for Gaussian' in lines['no theory']


def test_the_critical_gain_is_that_of_the_activation():
  """sqrt(2) of relu, 1 of tanh without biases (Schoenholz et al., 2017)."""
  gain = lambda activation: variance.Config(
    init='lecun_normal', activation=activation, gain='critical'
  ).knobs()['gain']
  assert gain('relu') == pytest.approx(2**0.5, abs=1e-9)
  assert gain('tanh') == pytest.approx(1, abs=1e-9)
  with pytest.raises(base.UserError, match='--gain=critical --activation=gelu'):
    gain('gelu')
