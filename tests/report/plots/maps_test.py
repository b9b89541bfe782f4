"""Heat maps: every setting in its cell, and theory where it belongs."""

import dataclasses

import numpy as np
import pytest

from initlab import panels
from initlab.experiment import Outcome, knob
from initlab.report.plots import figure as figures, pointer
from tests.helpers.made_up import words


@dataclasses.dataclass(frozen=True)
class Words:
  init: str = knob('zeros', 'a word')
  gain: float = knob(1.0, 'joined to it')
  activation: str = knob('tanh', 'the other axis')
  depth: int = knob(1, 'a map each')


@dataclasses.dataclass(frozen=True)
class Config:
  gain: float = knob(1.0, 'the first axis')
  depth: int = knob(1, 'the second axis')
  rate: float = knob(0.1, 'another knob')


def depth_scale(config):
  return np.inf if config.gain == 2.5 else config.gain


PANEL = panels.Map(
  *('accuracy', 'What learns', 'share'),
  x='gain',
  y='depth',
  lines=(depth_scale,),
  multiples=(4.0, 8.0),
)


def _outcome(gain, depth, accuracy, rate=0.1):
  return Outcome(
    config=Config(gain, depth, rate),
    label=f'gain {gain}, depth {depth}',
    seeds=np.arange(5),
    measured={'accuracy': np.full(5, accuracy)},
    predicted={},
  )


OUTCOMES = [
  _outcome(4.0, 10, 0.3),
  _outcome(1.0, 10, 0.1),
  _outcome(2.0, 30, np.nan),
  _outcome(1.0, 30, 0.2),
]


def test_a_cell_has_the_mean_of_its_setting_and_others_are_blank():
  """Rows are depths 10 and 30, columns gains 1, 2 and 4."""
  (mesh,) = figures.figure(PANEL, OUTCOMES).axes[0].collections
  found = np.ma.filled(mesh.get_array().reshape(2, 3), np.nan)
  nan = np.nan
  np.testing.assert_array_equal(found, [[0.1, nan, 0.3], [0.2, nan, nan]])
  corners = mesh.get_coordinates()
  np.testing.assert_array_equal(corners[0, :, 0], [0.5, 1.5, 3.0, 5.0])
  np.testing.assert_array_equal(corners[:, 0, 1], [0.0, 20.0, 40.0])


def test_a_cell_shows_its_value_under_the_pointer():
  """Depth 10 lies below depth 30, and gain 1 left of gain 4."""
  found = pointer.series(figures.figure(PANEL, OUTCOMES))
  assert [each['label'] for each in found[:-1]] == [
    '4 x depth scale',
    '8 x depth scale',
  ]
  (left, low, first), (right, beside, last), (_, high, above) = found[-1][
    'points'
  ]
  assert (first, last, above) == (0.1, 0.3, 0.2)
  assert left < right and high < low == beside


def test_the_lines_are_multiples_of_theory_within_the_map():
  axes = figures.figure(PANEL, OUTCOMES).axes[0]
  four, eight = (line for line in axes.lines if line.get_label()[0] != '_')
  assert four.get_label() == '4 x depth scale'
  for line, multiple in ((four, 4), (eight, 8)):
    x, y = line.get_data()
    assert (x[0], x[-1]) == (1.0, 4.0)
    finite = x != 2.5
    np.testing.assert_allclose(y[finite], multiple * x[finite])
    # An infinite depth scale is far above the map, whose ends stay.
    assert np.isfinite(y).all() and (y[~finite] > 1000).all()
  assert axes.get_ylim() == (0.0, 40.0)


def test_the_caption_says_what_is_drawn():
  assert 'What learns' in words(figures.figure(PANEL, OUTCOMES))
  text = figures.caption(PANEL, OUTCOMES)
  assert 'Lines: 4 and 8 times the depth scale, by theory' in text
  assert '5 seeds are not finite' in text


def test_lines_of_their_own_are_named_without_a_multiple():
  def other_scale(config):
    return 2 * config.gain

  lines = depth_scale, other_scale
  panel = dataclasses.replace(PANEL, lines=lines, multiples=(1.0,))
  found = pointer.series(figures.figure(panel, OUTCOMES))
  assert [each['label'] for each in found[:-1]] == [
    'depth scale',
    'other scale',
  ]
  text = figures.caption(panel, OUTCOMES)
  assert 'Lines: the depth scale and the other scale, by theory' in text


@pytest.mark.parametrize('values', [(0.0, 0.5), (0.0, 0.0), (np.nan, np.nan)])
def test_what_a_logarithmic_scale_has_no_colour_for_is_blank(values):
  panel = dataclasses.replace(PANEL, log=True)
  outcomes = [_outcome(gain, 10, x) for gain, x in enumerate(values, 1)]
  (mesh,) = figures.figure(panel, outcomes).axes[0].collections
  found = np.ma.filled(mesh.get_array().ravel(), np.nan)
  expected = [x if x > 0 else np.nan for x in values]
  np.testing.assert_array_equal(found, expected)
  told = 'Cells of 0 or less are blank' in figures.caption(panel, outcomes)
  assert told == (0.0 in values)


def test_a_third_knob_has_maps_of_its_own_in_the_same_colours():
  outcomes = [*OUTCOMES, _outcome(4.0, 30, 0.8, rate=0.2)]
  figure = figures.figure(PANEL, outcomes)
  maps = [axes for axes in figure.axes if axes.get_xlabel() == 'gain']
  assert [axes.get_title(loc='left') for axes in maps] == [
    'What learns, rate 0.1',
    'What learns, rate 0.2',
  ]
  assert {axes.collections[0].get_clim() for axes in maps} == {(0.1, 0.8)}


def test_of_a_tuned_knob_a_cell_has_the_best_value():
  outcomes = [
    _outcome(1.0, 10, 0.3, rate=0.1),
    _outcome(1.0, 10, 0.2, rate=0.2),
    _outcome(2.0, 10, 0.4, rate=0.1),
    _outcome(2.0, 10, 0.5, rate=0.2),
  ]
  panel = dataclasses.replace(PANEL, tuned=('rate', 'accuracy'))
  figure = figures.figure(panel, outcomes)
  (axes,) = (axes for axes in figure.axes if axes.get_xlabel() == 'gain')
  (mesh,) = axes.collections
  np.testing.assert_array_equal(np.ravel(mesh.get_array()), [0.2, 0.4])
  assert axes.get_title(loc='left') == 'What learns'


def _cell(config, value):
  return Outcome(config, str(config), np.arange(5), {'loss': value}, {})


def test_words_have_cells_in_the_order_of_the_run_and_a_map_beside_another():
  """Two schemes from above, two activations, two depths; one is not run."""
  panel = panels.Map(
    *('loss', 'Loss', 'loss'),
    x='activation',
    y=('init', 'gain'),
    log=True,
  )
  value = 0.0
  outcomes = []
  for depth in (5, 50):
    for init, gain in (('zeros', 1.0), ('he', 2.0)):
      for activation in ('tanh', 'relu'):
        value += 1.0
        config = Words(init, gain, activation, depth)
        outcomes.append(_cell(config, np.full(5, value)))
  picture = figures.figure(panel, outcomes[:-1])
  shallow, deep = picture.axes[:2]
  assert [each.get_title(loc='left') for each in (shallow, deep)] == [
    'Loss, depth 5',
    'Loss, depth 50',
  ]
  assert [each.get_text() for each in shallow.get_yticklabels()] == [
    'zeros 1.0',
    'he 2.0',
  ]
  assert [each.get_text() for each in deep.get_xticklabels()] == [
    'tanh',
    'relu',
  ]
  (first,), (second,) = shallow.collections, deep.collections
  np.testing.assert_array_equal(first.get_array(), [[1, 2], [3, 4]])
  found = np.ma.filled(second.get_array(), np.nan)
  np.testing.assert_array_equal(found, [[5, 6], [7, np.nan]])
  # One scale for both, the first row at the top.
  assert first.get_clim() == second.get_clim() == (1, 7)
  assert shallow.get_ylim() == (1.5, -0.5)
