"""The figures of `plots`: drawn, in full, the same bits twice, for hard input.

Warnings are errors here, so that a figure that is drawn at all was drawn
without one.
"""

import dataclasses

import numpy as np
import pytest

from initlab import panels, stats
from initlab.experiment import Outcome
from initlab.report.plots import depth, figure as figures, style
from tests.helpers import made_up
from tests.helpers.made_up import PANELS, hard_inputs, outcome, study, words


@pytest.mark.parametrize('panel', PANELS, ids=lambda panel: panel.field)
def test_a_figure_names_its_axes_settings_and_seeds(panel):
  text = words(figures.figure(panel, study('standard', 'glorot', 'he')))
  for word in (panel.title, panel.label, 'standard', 'glorot', 'he'):
    assert word in text
  assert 'mean of 32 seeds, 95% interval' in text


def test_the_axis_of_depth_is_named_by_the_panel():
  blocks = dataclasses.replace(PANELS[0], over='block')
  for panel, label in (
    (PANELS[0], 'the last is the output'),
    (blocks, 'block'),
  ):
    (axes,) = figures.figure(panel, study('glorot')).axes
    assert label in axes.get_xlabel()


@pytest.mark.parametrize('value', [1.0, 1.1, 2.2, 5.5, 9.9])
def test_a_logarithmic_axis_of_one_value_has_two_labels(value):
  _, axes = style.empty('title', 'label')
  decades = style.logarithmic(axes, np.array([value]), 0.05)
  style.plain_numbers(axes.yaxis, decades)
  low, high = axes.get_ylim()
  ticks = axes.yaxis.get_majorticklocs()
  assert np.sum((ticks >= low) & (ticks <= high)) >= 2


def test_theory_is_named_where_there_is_one():
  outcomes = study('glorot')
  assert '| theory' in words(figures.figure(PANELS[0], outcomes))
  assert '| theory' not in words(figures.figure(PANELS[3], outcomes))
  assert 'theory' in figures.caption(PANELS[0], outcomes)
  assert 'theory' not in figures.caption(PANELS[3], outcomes)


@pytest.mark.parametrize('panel', PANELS[::4], ids=lambda panel: panel.kind)
def test_a_second_drawing_is_the_same_bit_for_bit(panel):
  outcomes = study('standard', 'glorot', seeds=3)
  first, second = (figures.figure(panel, outcomes) for _ in range(2))
  assert style.svg(first) == style.svg(second)
  assert style.svg(first) == style.svg(first)
  assert style.png(first) == style.png(second)
  assert style.png(first).startswith(b'\x89PNG')


def test_of_many_settings_some_are_drawn_and_the_caption_says_so():
  labels = [f'gain={place}' for place in range(17)]
  outcomes = [
    outcome('glorot', seeds=1)._replace(label=label) for label in labels
  ]
  drawn = words(figures.figure(PANELS[0], outcomes)).split(' | ')
  assert [label for label in labels if label not in drawn] == ['gain=8']
  assert '16 of 17 settings are drawn' in figures.caption(PANELS[0], outcomes)
  assert 'settings are drawn' not in figures.caption(PANELS[0], outcomes[1:])


def test_an_svg_tells_neither_the_time_nor_the_tool():
  svg = style.svg(figures.figure(PANELS[0], study('glorot')))
  assert 'date' not in svg and 'metadata' not in svg
  assert 'matplotlib.org' not in svg


def test_no_global_state_of_the_plotting_library_is_touched():
  import matplotlib

  before = dict(matplotlib.rcParams)
  style.svg(figures.figure(PANELS[0], study('glorot')))
  assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize('name', hard_inputs())
def test_hard_input_is_drawn_without_a_warning(name):
  outcomes = hard_inputs()[name]
  for panel in PANELS[1], PANELS[2], PANELS[5]:
    figure = figures.figure(panel, outcomes)
    text = words(figure)
    assert all(each.label in text for each in outcomes)


def test_a_single_seed_is_said_to_have_no_interval():
  figure = figures.figure(PANELS[0], study('glorot', seeds=1))
  assert '1 seed, no interval' in words(figure)


def test_few_seeds_are_said_to_need_more_for_an_interval():
  figure = figures.figure(PANELS[0], study('glorot', seeds=4))
  assert 'mean of 4 seeds, no interval (needs 5)' in words(figure)


def test_a_field_over_decades_has_its_geometric_mean_and_says_so():
  (outcome,) = study('glorot', layers=4)
  outcome.measured['gradient_std'][::2] *= 100
  marked = outcome._replace(geometric=frozenset({'gradient_std'}))
  for setting, estimate, name in (
    (outcome, stats.mean, 'mean'),
    (marked, stats.geometric_mean, 'geometric mean'),
  ):
    figure = figures.figure(PANELS[1], [setting])
    line = figure.axes[0].lines[0]
    expected = estimate(setting.measured['gradient_std'])
    np.testing.assert_array_equal(line.get_ydata(), expected.value)
    assert f'{name} of 32 seeds, 95% interval' in words(figure).split(' | ')
    assert f'Marks: {name} of 32 seeds' in figures.caption(PANELS[1], [setting])
  # Of the geometric mean the whole interval is in sight: here decades, from
  # noise of a factor 1000 and 5 seeds.
  noise = 1000.0 ** np.array([-2, -1, 0, 1, 2])[:, None]
  wide = noise * outcome.predicted['gradient_std']
  marked = marked._replace(measured={'gradient_std': wide})
  low, high = figures.figure(PANELS[1], [marked]).axes[0].get_ylim()
  expected = stats.geometric_mean(wide)
  assert low < expected.low.min() and expected.high.max() < high


def test_zeros_alone_are_drawn_as_zero_under_a_geometric_mean_too():
  outcomes = [
    each._replace(geometric=frozenset({'gradient_std'}))
    for each in study('glorot', 'zeros')
  ]
  assert 'zero' in words(figures.figure(PANELS[1], outcomes)).split(' | ')


def test_lost_seeds_are_counted():
  broken = outcome('he')
  broken.measured['gradient_std'][:2, 3] = np.nan
  figure = figures.figure(PANELS[1], [broken])
  assert 'mean of 30 to 32 seeds' in words(figure)


def test_zeros_on_a_log_axis_are_told():
  figure = figures.figure(PANELS[1], study('glorot', 'zeros'))
  assert 'zero' in words(figure).split(' | ')
  assert figure.axes[0].get_yscale() == 'log'


def test_many_layers_are_a_selection_of_histograms_from_first_to_last():
  figure = figures.figure(PANELS[4], study('glorot', seeds=2, layers=101))
  legend = figure.axes[0].get_legend()
  shown = [text.get_text() for text in legend.get_texts()]
  assert len(shown) == 6 and shown[0] == '1' and shown[-1] == '100'


def test_histograms_share_their_horizontal_axis_and_are_normalised():
  figure = figures.figure(PANELS[4], study('standard', 'he'))
  low, high = zip(*(axes.get_xlim() for axes in figure.axes), strict=True)
  assert len(set(low)) == len(set(high)) == 1
  for axes in figure.axes:
    for line in axes.lines:
      x, y = line.get_data()
      mass = float(np.sum(y) * (x[1] - x[0]))
      # All but the 0.2% beyond the outer quantiles, of 3,200 values.
      assert 0.995 < mass <= 1.0


def test_labels_never_overlap_and_stay_inside():
  places = depth._spread([(0.5, 0.1 * i) for i in range(9)], 0.1)
  assert np.all(np.diff(places) >= 0.1 - 1e-12)
  assert places.min() >= 0 and places.max() <= 1
  np.testing.assert_allclose(
    depth._spread([(0.2, 0), (0.9, 0)], 0.1), [0.2, 0.9]
  )


def test_an_unknown_kind_is_refused():
  with pytest.raises(KeyError, match='Panel'):
    figures.figure(panels.Panel('pie', 'Pie', 'z'), study('glorot'))


@pytest.mark.parametrize('records', [4, 30])
def test_bars_and_markers_beside_a_curve(records):
  """All that is drawn of the hidden layers is in sight, and no output layer."""
  rng = np.random.default_rng(0)
  deep = 1 + 0.01 * rng.standard_normal((3, records, 4))
  outcome = Outcome(
    config=made_up.Config(),
    label='one',
    seeds=np.arange(3),
    measured={'mean': deep, 'reach': 2 * deep, 'edge': 9 * deep},
    predicted={},
    steps=tuple(range(records)),
  )
  extras = {'spread': 'reach', 'markers': 'edge', 'hidden': True}
  panel = panels.Curves('mean', 'Mean', 'z', **extras)
  picture = figures.figure(panel, [outcome])
  low, high = picture.axes[0].get_ylim()
  assert low < -1
  assert high > 9
  assert '4 out' not in words(picture)
  plain = words(figures.figure(panels.Curves('mean', 'Mean', 'z'), [outcome]))
  assert '4 out' in plain
  caption = figures.caption(panel, [outcome])
  assert 'Bars: reach' in caption
  assert 'Markers: edge' in caption


def test_a_curve_of_what_is_above_the_lowest_of_all():
  """Which one seed nears by decades that the axis does not follow."""
  steps = np.arange(401)
  ends = np.linspace(0, 0.02, 20)[:, None]
  falling = 0.63 + 2 * 0.9**steps + ends
  settings = [
    Outcome(
      config=made_up.Config(),
      label=label,
      seeds=np.arange(20),
      measured={'mean_loss': falling + above},
      predicted={},
      steps=tuple(steps.tolist()),
    )
    for label, above in (('slow', 0.01), ('fast', 0.0))
  ]
  panel = panels.Curves('mean_loss', 'Cost', 'J', log=True, excess=True)
  axes = figures.figure(panel, settings).axes[0]
  means = [line.get_ydata()[-1] for line in axes.lines]
  # 2 x 0.9^400 of all is left, below 1e-17.
  np.testing.assert_allclose(means, [0.02, 0.01])
  low, high = axes.get_ylim()
  assert 1e-4 < low < 2e-3  # of the others, the lowest ends at 1e-3
  assert high > 2
  caption = figures.caption(panel, settings)
  assert 'Subtracted: 0.63,' in caption
  assert 'Subtracted' not in figures.caption(
    dataclasses.replace(panel, excess=False), settings
  )
