"""When a profile over layers has one rate, and when it has a level."""

import numpy as np
import pytest

from initlab import profiles


def _profile(logs, noise=0.0, seeds=16):
  random = np.random.default_rng(0)
  logs = np.asarray(logs, float)
  return np.exp((logs + noise * random.normal(size=(seeds, len(logs)))) / 2)


@pytest.mark.parametrize('rate', [-2.0, -0.1, 0.0, 0.3])
@pytest.mark.parametrize('layers', [2, 3, 40])
def test_one_rate_is_geometric(rate, layers):
  found = profiles.judge(_profile(rate * np.arange(layers), 0.05))
  assert found.geometric
  # A mean of 16 ends that differ by 0.05 sqrt(2), over the steps.
  error = 0.05 * 2**0.5 / 16**0.5 / (layers - 1)
  assert abs(np.log(found.factor.value) - rate) < 5 * error


def test_a_decay_to_a_level_is_not_geometric():
  """A sigmoid's offsets: a few layers, and then the same for ever."""
  logs = -3 * (1 - 0.1 ** np.arange(30.0))
  found = profiles.judge(_profile(logs, 0.02))
  assert not found.geometric
  assert found.settled == 2  # -3, -0.3 and -0.03 above it: log 1.25 is 0.22.
  np.testing.assert_allclose(found.level.value, np.exp(-1.5), rtol=0.02)


def test_a_power_law_has_neither_rate_nor_level():
  """What a ReLU network's signal does, 1 / l^2."""
  found = profiles.judge(_profile(-2 * np.log(np.arange(1, 51)), 0.02))
  assert not found.geometric
  assert found.settled is None
  np.testing.assert_allclose(found.first.value, 0.25, rtol=0.05)
  np.testing.assert_allclose(found.last.value, (49 / 50) ** 2, rtol=0.05)


def test_chance_does_not_bend_a_line():
  """A random walk of 50 steps bends by chance; its interval holds the line.

  Steps of log variance of standard deviation 0.28, as of ReLU layers of 64
  units: the bridge of a mean of 16 has sd 0.28 sqrt(50 / 4 / 16) = 0.25, more
  than log 1.25. That any of 48 intervals at 1 - 0.05 / 48 misses the allowance
  has a probability below 5%; the seed is fixed.
  """
  steps = np.random.default_rng(0).normal(0, 0.28, (16, 50))
  assert profiles.judge(np.exp(np.cumsum(steps, axis=1) / 2)).geometric


def test_one_seed_is_judged_by_its_values():
  bent = -3 * (1 - 0.1 ** np.arange(10.0))
  assert not profiles.judge(_profile(bent, seeds=1)).geometric
  assert profiles.judge(_profile(-np.arange(10.0), seeds=1)).geometric


def test_seeds_without_a_signal_are_left_out():
  values = _profile(-np.arange(4.0))
  values[3, 2] = 0.0
  values[5, 0] = np.nan
  found = profiles.judge(values)
  assert (found.factor.n, found.factor.total) == (14, 16)
  assert profiles.judge(np.zeros((3, 4))).factor.n == 0


def test_words():
  assert profiles.in_words(1.02, 4) == 'preserved'
  assert profiles.in_words(0.25, 3) == 'shrinks fast, halves every 0.5 layers'
  assert profiles.in_words(1.2, 9) == 'grows slowly, doubles every 3.8 layers'


def test_factor_of_a_profile():
  np.testing.assert_allclose(profiles.factor(np.array([8.0, 3.0, 2.0])), 0.25)
