"""Values under the pointer: the numbers of a figure at their places."""

import numpy as np

from initlab.report.plots import figure as figures, pointer
from tests.helpers.made_up import PANELS, study


def test_marks_and_theory_are_at_their_places():
  """The middle of the axes, in points from the upper left corner."""
  outcomes = study('glorot')
  figure = figures.figure(PANELS[0], outcomes)
  measured, theory = pointer.series(figure)
  assert (measured['label'], theory['label']) == ('glorot', 'glorot, theory')
  left, top, layer, std = np.transpose(measured['points'])
  np.testing.assert_array_equal(layer, range(1, 7))
  values = outcomes[0].measured['activation_std']
  geometric = np.exp(np.log(values).mean(0))
  np.testing.assert_allclose(std, geometric, rtol=5e-4)  # four digits
  # Rightwards in equal steps, downwards with the logarithm, to 0.1 point.
  for places, numbers in ((left, layer), (-top, np.log(std))):
    line = np.polyval(np.polyfit(numbers, places, 1), numbers)
    np.testing.assert_allclose(places, line, atol=0.11)
  width, height = figure.get_size_inches() * 72
  assert (left > 0).all() and (left < width).all()
  assert (top > 0).all() and (top < height).all()


def test_a_long_line_has_a_hundred_points():
  outcomes = study('glorot', seeds=2, layers=1000)
  found = pointer.series(figures.figure(PANELS[2], outcomes))
  assert {len(each['points']) for each in found} == {100}
