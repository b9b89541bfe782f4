"""The seed contract: root seed, seed and shape decide initial parameters."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, keys, mlp, networks
from initlab.engine import parallel
from initlab.instruments import learning, variance

# One of each way to draw; the tests of initializers go through all names.
_NAMES = ('truncated_normal', 'orthogonal', 'torch')
_EAGER = (*_NAMES, 'he_uniform', 'glorot', 'standard', 'random_walk')
_WIDTHS = (12, 12, 12, 5)


def _run(key, data):
  del data
  init_key = keys.stream(key, 'init')
  return {
    name: mlp.init(
      init_key, _WIDTHS, scheme.make(), scheme.bias and scheme.bias()
    )
    for name, scheme in initializers.SCHEMES.items()
    if name in _NAMES
  }


@pytest.fixture(scope='module')
def alone():
  """Seed -> its parameters, drawn eagerly, by themselves."""
  return {seed: _run(keys.at(keys.root(5), seed), None) for seed in (3, 17)}


@pytest.mark.parametrize(('lanes', 'devices'), [(1, 2), (4, 2)])
def test_initial_parameters_are_bit_equal_in_any_sweep(alone, lanes, devices):
  """Alone and eager, or in company, vmapped, compiled, on two devices."""
  engine = parallel.engine(
    _run, lanes=lanes, devices=jax.local_devices()[:devices]
  )
  seeds = np.array([0, 1, 2, 3, 17, 40, 41, 2**32 - 1, 5], np.uint32)
  swept = {}
  for chunk, result in parallel.results(engine, keys.root(5), seeds, None):
    for place, seed in enumerate(chunk.tolist()):
      swept[seed] = jax.tree.map(lambda x, i=place: x[i], result)
  for seed, params in alone.items():
    chex.assert_trees_all_equal(swept[seed], params)


def _settings() -> list[dict]:
  """Every way to draw once, with a bias, and with a gain if it has one.

  Neither number is one of float32. Schemes of one factory share their code.
  """
  factories = {s.make: name for name, s in initializers.SCHEMES.items()}
  gain = lambda name: 'gain' in initializers.SCHEMES[name].knobs
  return [
    {
      'init': name,
      'gain': '0.7' if gain(name) else 'default',
      'bias': 0.3,
      'widths': (7,),
      'dataset': 'xor',
    }
    for name in factories.values()
  ]


def _of_variance(settings: list[dict]) -> Callable[[base.Key], list]:
  """The draws of `experiments.variance`: gain and bias are constants."""

  def draw(key: base.Key) -> list[base.Params]:
    configs = [variance.Config(**setting) for setting in settings]
    return [
      networks.draw(config, key, config.knobs(), config.bias)
      for config in configs
    ]

  return draw


def _of_learning(settings: list[dict], jit: bool) -> Callable[[base.Key], list]:
  """The draws of `experiments.learning`: gain and bias are traced."""
  configs = [learning.Config(**setting) for setting in settings]
  numbers = [parallel.traced(learning.numbers(config)) for config in configs]

  def draw(numbers: list, key: base.Key) -> list[base.Params]:
    starts = [
      learning.start(learning.program(config), number, key, None)
      for config, number in zip(configs, numbers, strict=True)
    ]
    return [start.params for start in starts]

  draw = jax.jit(draw) if jit else draw
  return lambda key: draw(numbers, key)


def _assert_same_draws(settings, draws, others):
  for setting, one, other in zip(settings, draws, others, strict=True):
    label = f'--init={setting["init"]} --gain={setting["gain"]}'
    chex.assert_trees_all_equal(one, other, custom_message=label)


@pytest.fixture(scope='module')
def compiled():
  """Settings, a key, and what `experiments.learning` draws for each."""
  settings, key = _settings(), keys.at(keys.root(5), 3)
  return settings, key, _of_learning(settings, jit=True)(key)


def test_variance_and_learning_draw_the_same_networks(compiled):
  """Static in the company of other seeds, traced and alone: both compiled."""
  settings, _, expected = compiled
  draw = _of_variance(settings)
  static = jax.jit(jax.vmap(lambda seed: draw(keys.at(keys.root(5), seed))))
  many = static(jnp.array([9, 3, 2**31], jnp.uint32))
  one = jax.tree.map(lambda leaf: leaf[1], many)
  _assert_same_draws(settings, one, expected)


def test_eager_and_compiled_draws_are_the_same_networks(compiled):
  """One of each way to draw, static and traced."""
  settings, key, expected = compiled
  some = [i for i, s in enumerate(settings) if s['init'] in _EAGER]
  settings = [settings[i] for i in some]
  expected = [expected[i] for i in some]
  for draw in _of_variance(settings), _of_learning(settings, jit=False):
    _assert_same_draws(settings, draw(key), expected)


def test_schemes_share_their_draws():
  """Comparisons are paired: of one seed, LeCun and He differ by a factor."""
  key = keys.stream(keys.at(keys.root(0), 4), 'init')
  lecun, he = (
    mlp.init(key, _WIDTHS, initializers.SCHEMES[name].make())
    for name in ('lecun_normal', 'he_normal')
  )
  for one, other in zip(lecun, he, strict=True):
    chex.assert_trees_all_close(one.w * 2**0.5, other.w, rtol=1e-6)


def test_another_root_seed_is_another_study():
  one, other = (
    jax.random.key_data(keys.at(keys.root(root), 3)) for root in (0, 1)
  )
  assert (one != other).any()
