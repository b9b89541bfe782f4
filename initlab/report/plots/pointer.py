"""The numbers of a figure and their places, for values under the pointer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_MOST = 100  # points of a line


def series(figure: 'Figure') -> list[dict[str, Any]]:
  """The labelled lines and the heat maps of a figure.

  Returns:
    Of each the label, '' for a heat map, and the points: `[left, top, x, y]` of
    a line, of at most _MOST points, and `[left, top, value]` of a heat map: the
    place in points of the figure's SVG and the numbers there.
  """
  found = []
  for axes in figure.axes:
    for label, rows in _lines(axes):
      points = _placed(figure, axes, rows, rows)
      kept = np.linspace(0, len(points) - 1, min(len(points), _MOST))
      kept = kept.round().astype(int)
      found.append({'label': label, 'points': [points[i] for i in kept]})
    found += [
      {'label': '', 'points': _placed(figure, axes, middles, values)}
      for middles, values in _heat_maps(axes)
    ]
  return found


def _lines(axes: 'Axes') -> Iterator[tuple[str, np.ndarray]]:
  """The label and the rows `x, y` of each line that has a label."""
  from matplotlib.container import ErrorbarContainer

  of_error_bars = {
    each.lines[0]: str(each.get_label())
    for each in axes.containers
    if isinstance(each, ErrorbarContainer)
  }
  for line in axes.lines:
    label = of_error_bars.get(line) or str(line.get_label())
    if label and not label.startswith('_'):
      yield label, np.column_stack(line.get_data()).astype(float)


def _heat_maps(axes: 'Axes') -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """The middles of the cells of each heat map, `[N, 2]`; values `[N, 1]`."""
  from matplotlib.collections import QuadMesh

  if axes.get_label() == '<colorbar>':
    return
  for mesh in axes.collections:
    if isinstance(mesh, QuadMesh):
      corners = np.asarray(mesh.get_coordinates())
      middles = (corners[1:, 1:] + corners[:-1, :-1]) / 2
      values = np.ma.asarray(mesh.get_array(), float).filled(np.nan)
      yield middles.reshape(-1, 2), values.reshape(-1, 1)


def _placed(
  figure: 'Figure', axes: 'Axes', where: np.ndarray, rows: np.ndarray
) -> list[list[float]]:
  """The finite rows within the axes, each behind its place.

  Args:
    where: `[N, 2]` in the units of the axes.
    rows: `[N, ...]` the numbers there.
  """
  points = 72 / figure.dpi
  places = axes.transData.transform(where) * points
  box = np.array(axes.get_window_extent().extents) * points
  inside = (places > box[:2] - 1) & (places < box[2:] + 1)
  kept = np.isfinite(rows).all(1) & inside.all(1)
  height = figure.get_figheight() * 72
  return [
    [round(x, 1), round(height - y, 1), *(float(f'{n:.4g}') for n in row)]
    for (x, y), row in zip(places[kept], rows[kept], strict=True)
  ]
