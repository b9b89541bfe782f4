"""The map of schemes: its measurement, and ranks with ties."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments.atlas import ranks, schemes
from initlab import base, keys, mlp, networks, probes
from initlab.report import summary
from tests.helpers.synthetic import noisy, outcome


def _setting(gain, loss, *, init='lecun_normal', lost=0, size=0.01):
  """A network of tanh units, of which some seeds diverge."""
  measured = {
    'mean_loss': noisy(loss, size),
    'signal_kept': noisy(gain),
    'gradient_kept': noisy(gain),
    'diverged': np.zeros(16),
  }
  measured['mean_loss'][:lost] = np.nan
  measured['diverged'][:lost] = 1.0
  knobs = {'activation': 'tanh', 'gain': gain, 'init': init, 'depth': 5}
  return outcome('atlas.schemes', knobs, measured)


_CONFIG = dataclasses.replace(
  schemes.SMOKE, widths=(8,), depth=4, activation='elu'
)
_RUN = jax.jit(schemes.run)


def _batch():
  x = np.random.default_rng(0).standard_normal((4, 2))
  return base.Batch(jnp.asarray(x, jnp.float32), jnp.array([0, 1, 1, 0]))


def test_the_loop_measures_what_the_probes_of_the_library_measure():
  @jax.jit
  def started(key):
    params = _CONFIG.draw(key)
    signals = networks.signals(_CONFIG, params, batch)
    return (
      probes.activation_within_std(params, jax.nn.elu, signals),
      probes.gradient_within_std(params, jax.nn.elu, signals),
      mlp.evaluate(params, batch, jax.nn.elu, networks.loss(_CONFIG))[0],
    )

  key, batch = keys.at(keys.root(0), 3), _batch()
  found = _RUN(_CONFIG, key, batch)
  z, slope, start = started(key)
  # Sums of 8 products in four layers, there and back: below 100 roundings.
  error = 100 * np.finfo(np.float32).eps
  np.testing.assert_allclose(found.signal_kept, z[3] / z[0], rtol=error)
  np.testing.assert_allclose(
    found.gradient_kept, slope[0] / slope[3], rtol=error
  )
  assert found.mean_loss < start and found.diverged == 0


def test_a_seed_that_no_rate_serves_diverges():
  """At rates of 1e30 and above the second step overflows."""
  config = dataclasses.replace(_CONFIG, learning_rate=1e32)
  found = _RUN(config, keys.at(keys.root(0), 3), _batch())
  assert np.isnan(found.mean_loss) and found.diverged == 1


def test_equal_schemes_tie_and_a_worse_one_does_not():
  """The tie is off the leader by noise of both signs, the third by 5%."""
  leader, worse = _setting(1.0, 1.0), _setting(1.4142, 1.05)
  tie = _setting(2.0, 1.0)
  wiggle = np.where(np.arange(16) % 2, 1.01, 0.992)
  tie.measured['mean_loss'] = leader.measured['mean_loss'] * wiggle
  assert ranks.best([worse, tie, leader], 'loss') == [leader, tie]


def test_a_scheme_that_diverges_is_worst_and_one_that_keeps_is_best():
  half = _setting(1.4142, 0.1, lost=12)
  sound = _setting(1.0, 1.0)
  assert ranks.best([half, sound], 'loss') == [sound]
  # A signal that doubles is as bad as one that halves, 1 is best.
  double, halved = _setting(2.0, 1.0), _setting(0.5, 1.0)
  assert ranks.best([double, halved, sound], 'signal') == [sound]
  assert len(ranks.best([double, halved], 'signal')) == 2


def test_the_tables_count_the_best_and_name_them():
  settings = [_setting(1.0, 1.0), _setting(2.0, 1.5, lost=4)]
  for found in (
    summary.answers(schemes.EXPERIMENT, settings),
    summary.contents(schemes.EXPERIMENT, settings)[:2],
  ):
    counts, winners = found
    assert counts.rows == [
      ('lecun_normal 1.0', '1', '1', '1', '0.0%'),
      ('lecun_normal 2.0', '0', '0', '0', '25.0%'),
    ]
    assert winners.rows[0][:2] == ('tanh', 'lecun_normal 1.0')
