"""Pictures of one number a seed: against a knob, seed by seed, best of k."""

import dataclasses

import numpy as np
import pytest

from initlab import panels, stats
from initlab.experiment import Outcome, knob
from initlab.report import tuning
from initlab.report.plots import figure as figures, style, sweep
from tests.helpers import made_up


@dataclasses.dataclass(frozen=True)
class Config:
  init: str = knob('glorot', 'the scheme', ('glorot', 'he'))
  scale: float = knob(1.0, 'of the weights')
  width: int = knob(10, 'of the layers')


SWEEP = panels.Sweep(
  'mean_loss', 'Loss against scale', 'final loss', knob='scale'
)
SHARE = dataclasses.replace(SWEEP, field='solved', label='share solved')
SEEDS = panels.Seeds('mean_loss', 'Seed by seed', 'final loss')
BEST = panels.Best('mean_loss', 'Best of k', 'final loss')


def outcome(config: Config, label: str, seeds: int = 40) -> Outcome:
  rng = np.random.default_rng(5)
  cost = 1 + np.log10(config.scale) ** 2 + 0.3 * rng.random(seeds)
  return Outcome(
    config=config,
    label=label,
    seeds=np.arange(seeds),
    measured={'mean_loss': cost, 'solved': (cost < 1.7).astype(np.float32)},
    predicted={'mean_loss': np.array(1.15 + np.log10(config.scale) ** 2)},
    shares=frozenset({'solved'}),
  )


def study(scales=(0.01, 0.1, 1.0, 10.0), inits=('glorot', 'he'), seeds=40):
  return [
    outcome(Config(init=init, scale=scale), f'{init}, scale {scale}', seeds)
    for init in inits
    for scale in scales
  ]


@pytest.mark.parametrize('panel', [SWEEP, SHARE, SEEDS, BEST])
def test_a_figure_names_its_axes_and_settings(panel):
  text = made_up.words(figures.figure(panel, study()))
  for word in (panel.title, panel.label, 'glorot', 'he', '95% interval'):
    assert word in text


def test_a_sweep_has_one_line_for_each_combination_of_the_other_knobs():
  outcomes = study()[::-1]
  lines = sweep.grouped(SWEEP, outcomes)
  assert [line.label for line in lines] == ['he', 'glorot']
  for line in lines:
    assert line.x.tolist() == [0.01, 0.1, 1.0, 10.0]
    np.testing.assert_array_equal(line.theory, 1.15 + np.log10(line.x) ** 2)
  expected = stats.mean(outcomes[-1].measured['mean_loss'])
  assert lines[1].estimate.value[0] == expected.value
  assert lines[1].estimate.low[0] == expected.low
  (alone,) = sweep.grouped(SWEEP, study(inits=('he',)))
  assert alone.label == ''


def test_a_tuned_sweep_has_one_line_whatever_is_chosen():
  """The best scale is 1 of those at width 10, and 0.1 at width 20."""
  outcomes = [
    outcome(Config(scale=scale, width=width), f'{scale}, {width}')
    for width, scales in ((10, (1.0, 10.0)), (20, (0.1, 0.01)))
    for scale in scales
  ]
  tuned = dataclasses.replace(SWEEP, knob='width', tuned=('scale', 'mean_loss'))
  drawn = tuning.chosen(outcomes, 'scale', 'mean_loss')
  assert [each.config.scale for each in drawn] == [1.0, 0.1]
  (line,) = sweep.grouped(tuned, drawn)
  assert line.x.tolist() == [10, 20]


def test_a_sweep_of_what_ranges_over_decades_is_of_geometric_means():
  outcomes = [
    each._replace(geometric=frozenset({'mean_loss'}))
    for each in study(inits=('he',))
  ]
  (line,) = sweep.grouped(SWEEP, outcomes)
  expected = stats.geometric_mean(outcomes[0].measured['mean_loss'])
  assert line.estimate.value[0] == expected.value
  assert 'Marks: geometric mean of' in figures.caption(SWEEP, outcomes)


def test_yes_and_no_have_the_interval_of_a_share():
  outcomes = study(inits=('he',))
  (line,) = sweep.grouped(SHARE, outcomes)
  solved = int(outcomes[2].measured['solved'].sum())
  assert solved == 40
  assert line.estimate.low[2] == stats.share(40, 40).low < 1
  text = made_up.words(figures.figure(SHARE, outcomes))
  assert 'share of 40 seeds, 95% interval of Clopper and Pearson' in text
  assert 'mean of 40 seeds' in made_up.words(figures.figure(SWEEP, outcomes))


def test_numbers_that_happen_to_be_one_are_no_shares():
  outcomes = study(inits=('he',))
  for each in outcomes:
    each.measured['mean_loss'][:] = 1
  (line,) = sweep.grouped(SWEEP, outcomes)
  assert (line.estimate.low == 1).all()


@pytest.mark.parametrize(
  ('scales', 'scale'),
  [((0.1, 1.0, 10.0), 'log'), ((1.0, 2.0, 20.0), 'linear')],
)
def test_a_knob_over_a_factor_of_thirty_is_logarithmic(scales, scale):
  axes = figures.figure(SWEEP, study(scales)).axes[0]
  assert axes.get_xscale() == scale


def test_every_seed_is_a_dot():
  outcomes = study(scales=(1.0,))
  outcomes[0].measured['mean_loss'][:3] = np.nan
  figure = figures.figure(SEEDS, outcomes)
  dots = [x for x in figure.axes[0].lines if x.get_marker() == 'o']
  assert [len(x.get_xdata()) for x in dots] == [37, 40]
  assert '3 of 40 not finite' in made_up.words(figure)
  assert '3 seeds are not finite' in figures.caption(SEEDS, outcomes)


def test_the_best_of_k_falls_from_the_mean():
  outcomes = study(scales=(1.0,), inits=('he',))
  low, high, line = figures.figure(BEST, outcomes).axes[0].lines
  assert line.get_xdata().tolist() == [1, 2, 3, 5, 10, 20]
  values = line.get_ydata()
  cost = outcomes[0].measured['mean_loss']
  np.testing.assert_allclose(values[0], np.median(cost), rtol=1e-12)
  assert (np.diff(values) < 0).all() and values[-1] >= cost.min()
  # 40 seeds are enough for k = 5, and not for 10: 5.3 k.
  for end, best in ((low, np.greater_equal), (high, np.less_equal)):
    ends = end.get_ydata()
    assert np.isfinite(ends).tolist() == [True] * 4 + [False] * 2
    assert best(values[:4], ends[:4]).all()


def test_what_few_seeds_lack_is_said():
  for panel, needs, seeds in ((SWEEP, 5, 4), (SEEDS, 6, 5), (BEST, 6, 5)):
    few = study(scales=(1.0,), seeds=seeds)
    words = made_up.words(figures.figure(panel, few))
    assert f'no interval (needs {needs})' in words
    assert '95% interval' not in words
    enough = study(scales=(1.0,), seeds=needs)
    assert '95% interval' in made_up.words(figures.figure(panel, enough))
  words = made_up.words(figures.figure(BEST, study(scales=(1.0,), seeds=40)))
  assert '95% interval up to k = 5' in words


@pytest.mark.slow
@pytest.mark.parametrize('panel', [SWEEP, SHARE, SEEDS, BEST])
@pytest.mark.parametrize('log', [False, True])
def test_hard_input_is_drawn_and_captioned(panel, log):
  panel = dataclasses.replace(panel, log=log)
  silent = outcome(Config(), 'silent')
  silent.measured['mean_loss'][:] = np.nan
  zero = outcome(Config(scale=2.0), 'zero')
  zero.measured['mean_loss'][:5] = 0.0
  for outcomes in (
    study(seeds=1),
    study(scales=(1.0,), seeds=2),
    [silent],
    [silent, zero],
    [outcome(Config(), '$a_b <&')],
    [zero._replace(predicted={})] * 9,
  ):
    assert style.svg(figures.figure(panel, outcomes))
    assert figures.caption(panel, outcomes)


def test_theory_is_named_where_there_is_one():
  outcomes = study()
  assert '| theory' in made_up.words(figures.figure(SWEEP, outcomes))
  assert 'theory' in figures.caption(SWEEP, outcomes)
  bare = [each._replace(predicted={}) for each in outcomes]
  assert '| theory' not in made_up.words(figures.figure(SWEEP, bare))
  assert 'theory' not in figures.caption(SWEEP, bare)


def test_a_second_drawing_is_the_same_bit_for_bit():
  for panel in (SWEEP, SEEDS, BEST):
    first, second = (
      style.svg(figures.figure(panel, study(seeds=5))) for _ in range(2)
    )
    assert first == second
