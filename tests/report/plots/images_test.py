"""Images and surfaces: drawn, in full, the same bits twice, and explained."""

import dataclasses

import numpy as np
import pytest

from initlab import base, panels
from initlab.experiment import Outcome, knob
from initlab.report.plots import figure as figures, style
from tests.helpers.made_up import words


@dataclasses.dataclass(frozen=True)
class Config:
  loss: str = knob('cross_entropy', 'the cost', ('a', 'b'))
  reach: float = knob(3.0, 'how far the axes reach')


IMAGE = panels.Image('image', 'Figure 1', 'grey')
SURFACE = panels.Surface('image', 'Figure 5', 'cost', extent='reach')


def _outcome(label, side, seeds):
  values = np.random.default_rng(0).uniform(-1, 1, (seeds, side**2))
  return Outcome(
    config=Config(loss=label),
    label=label,
    seeds=np.arange(seeds) + 7,
    measured={'image': values},
    predicted={},
    axes={'image': ('value',)},
  )


OUTCOMES = [_outcome('large', 8, 20), _outcome('small', 4, 3)]


@pytest.mark.parametrize('panel', [IMAGE, SURFACE], ids=lambda p: p.kind)
def test_a_picture_names_its_settings_and_is_the_same_twice(panel):
  figure = figures.figure(panel, OUTCOMES)
  for word in (panel.title, 'large', 'small'):
    assert word in words(figure)
  assert style.png(figure) == style.png(figures.figure(panel, OUTCOMES))


def test_an_image_is_shown_as_it_is():
  """Twelve of the first setting, three of the second; -1 black, 1 white."""
  figure = figures.figure(IMAGE, OUTCOMES)
  shown = [image for axes in _axes(figure) for image in axes.images]
  assert len(shown) == 12 + 3
  expected = OUTCOMES[0].measured['image'][1].reshape(8, 8)
  np.testing.assert_array_equal(shown[1].get_array(), expected)
  assert shown[0].get_clim() == (-1, 1)


def _axes(figure):
  parts = figure.subfigs or [figure]
  return [axes for part in parts for axes in part.get_axes()]


def test_a_surface_spans_what_the_knob_says_the_first_setting_in_black():
  figure = figures.figure(SURFACE, OUTCOMES)
  (axes,) = _axes(figure)
  low, high = axes.get_xlim()
  assert low <= -3 < 3 <= high
  assert 'large in black, small in red' in figures.caption(SURFACE, OUTCOMES)


def test_captions_say_which_seeds_are_shown():
  assert 'seeds 7 to 18 of the 20' in figures.caption(IMAGE, OUTCOMES)
  assert '8x8 and 4x4 pixels' in figures.caption(IMAGE, OUTCOMES)
  assert 'of seed 7 only' in figures.caption(SURFACE, OUTCOMES)


def test_what_is_not_a_square_is_refused():
  odd = OUTCOMES[0]._replace(measured={'image': np.zeros((2, 5))})
  with pytest.raises(base.UserError, match='5 values, not a square'):
    figures.figure(IMAGE, [odd])
