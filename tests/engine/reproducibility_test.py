"""The seed contract: root seed, seed and shape decide initial parameters."""

from collections.abc import Callable, Iterable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, keys, mlp
from initlab.engine import parallel
from initlab.instruments import learning

pytestmark = pytest.mark.bits

# One of each way to draw; the tests of initializers go through all names.
_NAMES = ('truncated_normal', 'orthogonal', 'torch')
_EAGER = (*_NAMES, 'he_uniform', 'glorot', 'standard', 'random_walk')
_WIDTHS = (12, 12, 12, 5)


def _run(config, key, data):
  del config, data
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
  return {
    seed: _run(None, keys.at(keys.root(5), seed), None) for seed in (3, 17)
  }


@pytest.mark.parametrize(
  ('lanes', 'devices'),
  [pytest.param(1, 2, marks=pytest.mark.slow), (4, 2)],
)
def test_initial_parameters_are_bit_equal_in_any_sweep(alone, lanes, devices):
  """Alone and eager, or in company, vmapped, compiled, on two devices."""
  engine = parallel.engine(
    _run, lanes=lanes, devices=jax.local_devices()[:devices]
  )
  seeds = np.array([0, 1, 2, 3, 17, 40, 41, 2**32 - 1, 5], np.uint32)
  swept = {}
  for chunk, result in parallel.results(
    engine, None, keys.root(5), seeds, None
  ):
    for place, seed in enumerate(chunk.tolist()):
      swept[seed] = jax.tree.map(lambda x, i=place: x[i], result)
  for seed, params in alone.items():
    chex.assert_trees_all_equal(swept[seed], params)


def _factories() -> list[str]:
  """Every way to draw once: schemes of one factory share their code."""
  return list({s.make: n for n, s in initializers.SCHEMES.items()}.values())


def _settings(names: Iterable[str]) -> list[dict]:
  """Schemes with a bias, and with a gain if they have one.

  Neither number is one of float32.
  """
  gain = lambda name: 'gain' in initializers.SCHEMES[name].knobs
  return [
    {
      'init': name,
      'gain': 0.7 if gain(name) else 'default',
      'bias': 0.3,
      'widths': (7,),
      'dataset': 'xor',
    }
    for name in names
  ]


def _draws(settings: list[dict], jit: bool) -> Callable[[base.Key], list]:
  """`key -> params` of every setting, its gain and bias traced or not."""
  configs = [learning.Config(**setting) for setting in settings]

  def draw(configs: list, key: base.Key) -> list[base.Params]:
    return [config.draw(key) for config in configs]

  draw = jax.jit(draw) if jit else draw
  return lambda key: draw(configs, key)


def _assert_same_draws(settings, draws, others):
  for setting, one, other in zip(settings, draws, others, strict=True):
    label = f'--init={setting["init"]} --gain={setting["gain"]}'
    chex.assert_trees_all_equal(one, other, custom_message=label)


def _compiled(names):
  """Settings, a key, and what is drawn for each with traced numbers."""
  settings, key = _settings(names), keys.at(keys.root(5), 3)
  return settings, key, _draws(settings, jit=True)(key)


@pytest.fixture(scope='module')
def compiled():
  """That of one of each way to draw."""
  return _compiled(_EAGER)


def _assert_constants_draw_the_same(settings, expected):
  """Constant in the company of other seeds, traced and alone: both compiled."""
  draw = _draws(settings, jit=False)
  static = jax.jit(jax.vmap(lambda seed: draw(keys.at(keys.root(5), seed))))
  many = static(jnp.array([9, 3, 2**31], jnp.uint32))
  one = jax.tree.map(lambda leaf: leaf[1], many)
  _assert_same_draws(settings, one, expected)


@pytest.mark.slow
def test_constant_and_traced_numbers_draw_the_same_networks(compiled):
  settings, _, expected = compiled
  _assert_constants_draw_the_same(settings, expected)


@pytest.mark.slow
def test_constant_and_traced_numbers_of_every_scheme():
  settings, _, expected = _compiled(_factories())
  _assert_constants_draw_the_same(settings, expected)


def test_eager_and_compiled_draws_are_the_same_networks(compiled):
  settings, key, expected = compiled
  _assert_same_draws(settings, _draws(settings, jit=False)(key), expected)


@pytest.mark.parametrize(
  ('name', 'knob'),
  [
    ('constant', 'value'),
    ('uniform', 'scale'),
    ('normal', 'std'),
    ('truncated_normal', 'std'),
    ('ng_epsilon', 'epsilon'),
    ('sparse', 'std'),
  ],
)
def test_scales_may_be_traced(name, knob):
  make = initializers.SCHEMES[name].make
  draw = lambda knobs: make(**knobs)(keys.root(0), (6, 4))
  chex.assert_trees_all_equal(jax.jit(draw)({knob: 0.7}), draw({knob: 0.7}))


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
