"""PerNetwork measures by two knobs, as a heat map with the lines of theory."""

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import stats
from initlab.experiment import Outcome, in_words
from initlab.panels import Map
from initlab.report.plots import style, sweep

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_POINTS = 257  # of a line


def caption(panel: Map, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  text = (
    f'{panel.title}, by {in_words(panel.x)} and {in_words(panel.y)}. Colour: '
    f'{style.caption_seeds(panel, outcomes)}.'
  ).replace(', 95% interval', '')
  if panel.line:
    text += f' Lines: {_named(panel)}, by theory.'
  lost = style.lost(panel, outcomes)
  return f'{text} {lost} and are left out.' if lost else text


def draw(panel: Map, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws the mean over seeds by two knobs, a map for each of the others.

  Args:
    panel: whose field is `[S]`, and whose `x` and `y` are knobs of numbers.
    outcomes: the settings, at least one; cells that are not among them, and
      those without a finite seed, are blank.
  """
  from matplotlib.figure import Figure

  knobs = sweep.varying(outcomes, {panel.x, panel.y})
  groups: dict[str, list[Outcome]] = {}
  for each in outcomes:
    groups.setdefault(sweep.labelled(each.config, knobs), []).append(each)
  cells = [_cells(panel, group) for group in groups.values()]
  drawn = np.concatenate([values.ravel() for _, _, values in cells])
  drawn = drawn[np.isfinite(drawn)]
  ends = {'vmin': drawn.min(), 'vmax': drawn.max()} if drawn.size else {}
  size = style.WIDTH, 0.5 + 3 * len(groups)
  picture = Figure(figsize=size, layout='constrained')
  grid = picture.subplots(len(groups), squeeze=False)[:, 0]
  for axes, label, each in zip(grid, groups, cells, strict=True):
    x, y, values = each
    edges = _edges(x), _edges(y)
    norm = 'log' if panel.log else None
    mesh = axes.pcolormesh(*edges, values, cmap='viridis', norm=norm, **ends)
    title = ', '.join(filter(None, [panel.title, label]))
    axes.set_title(title, pad=24, parse_math=False)
    axes.set_xlabel(in_words(panel.x))
    axes.set_ylabel(in_words(panel.y))
    axes.set_yticks(y)
    bar = picture.colorbar(mesh, ax=axes)
    bar.set_label(panel.label, parse_math=False)
    bar.outline.set_visible(False)
    if panel.line:
      _draw_lines(axes, panel, groups[label][0].config, x, edges[1])
  return picture


def _cells(
  panel: Map, outcomes: Sequence[Outcome]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Values of the knobs, and the mean at each, `[y, x]`."""
  x, y = (
    np.unique([float(getattr(each.config, knob)) for each in outcomes])
    for knob in (panel.x, panel.y)
  )
  values = np.full((len(y), len(x)), np.nan)
  for each in outcomes:
    column = np.searchsorted(x, getattr(each.config, panel.x))
    row = np.searchsorted(y, getattr(each.config, panel.y))
    values[row, column] = stats.average(each, panel.field).value
  return x, y, values


def _draw_lines(
  axes: Any, panel: Map, config: Any, x: np.ndarray, rows: np.ndarray
) -> None:
  """The multiples of what theory says, cut off where the map ends."""
  assert panel.line
  across = np.linspace(x[0], x[-1], _POINTS)
  line = np.minimum(
    [
      panel.line(dataclasses.replace(config, **{panel.x: value}))
      for value in across.tolist()
    ],
    100 * rows[-1],
  )
  limits = axes.get_xlim()
  for place, multiple in enumerate(panel.multiples):
    dashes = ('-', '--', ':', '-.')[place % 4]
    axes.plot(across, multiple * line, dashes, color='white', lw=2.6)
    axes.plot(
      *(across, multiple * line, dashes),
      color=style.COLOURS[1],
      lw=1.6,
      label=f'{multiple:g} x {_name(panel)}',
    )
  axes.set_xlim(limits)
  axes.set_ylim(rows[0], rows[-1])
  style.legend_above(axes, axes.get_legend_handles_labels()[0])


def _edges(values: np.ndarray) -> np.ndarray:
  """The ends of the cells: half-way between values, the outer ones alike."""
  if len(values) == 1:
    return values[0] + np.array([-0.5, 0.5])
  between = (values[1:] + values[:-1]) / 2
  first, last = 2 * values[0] - between[0], 2 * values[-1] - between[-1]
  return np.concatenate([[first], between, [last]])


def _named(panel: Map) -> str:
  """'4 and 8 times the depth scale'."""
  times = ' and '.join(f'{multiple:g}' for multiple in panel.multiples)
  return f'{times} times the {_name(panel)}'


def _name(panel: Map) -> str:
  """'depth scale'"""
  return in_words(getattr(panel.line, '__name__', 'theory'))
