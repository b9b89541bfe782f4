"""PerNetwork measures by two knobs, as a heat map with the lines of theory."""

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import base, stats
from initlab.experiment import Outcome, in_words, written
from initlab.panels import Map
from initlab.report.plots import style

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
  """Draws the mean over seeds by two knobs.

  Args:
    panel: whose field is `[S]`, and whose `x` and `y` are knobs of numbers.
    outcomes: the settings, at least one; cells that are not among them, and
      those without a finite seed, are blank.

  Raises:
    UserError: the settings differ in another knob, too.
  """
  _refuse_other(panel, outcomes)
  x, y = (
    np.unique([float(getattr(each.config, knob)) for each in outcomes])
    for knob in (panel.x, panel.y)
  )
  values = np.full((len(y), len(x)), np.nan)
  for each in outcomes:
    column = np.searchsorted(x, getattr(each.config, panel.x))
    row = np.searchsorted(y, getattr(each.config, panel.y))
    values[row, column] = stats.average(each, panel.field).value
  picture, axes = style.empty(panel, 12)
  axes.set_xlabel(in_words(panel.x))
  axes.set_ylabel(in_words(panel.y))
  norm = 'log' if panel.log else None
  mesh = axes.pcolormesh(
    _edges(x), _edges(y), values, cmap='viridis', norm=norm
  )
  axes.set_yticks(y)
  bar = picture.colorbar(mesh, ax=axes)
  bar.set_label(panel.label, parse_math=False)
  bar.outline.set_visible(False)
  if panel.line:
    across = np.linspace(x[0], x[-1], _POINTS)
    config = outcomes[0].config
    line = [
      panel.line(dataclasses.replace(config, **{panel.x: value}))
      for value in across.tolist()
    ]
    _lines(axes, panel, across, np.minimum(line, 100 * y[-1]))
  return picture


def _lines(axes: Any, panel: Map, x: np.ndarray, line: np.ndarray) -> None:
  """The multiples of a prediction, cut off where the map ends."""
  limits = axes.get_xlim(), axes.get_ylim()
  for place, multiple in enumerate(panel.multiples):
    dashes = ('-', '--', ':', '-.')[place % 4]
    axes.plot(x, multiple * line, dashes, color='white', lw=2.6)
    axes.plot(
      *(x, multiple * line, dashes),
      color=style.COLOURS[1],
      lw=1.6,
      label=f'{multiple:g} x {_name(panel)}',
    )
  axes.set_xlim(limits[0])
  axes.set_ylim(limits[1])
  style.legend_above(axes, axes.get_legend_handles_labels()[0])
  axes.set_title(panel.title, pad=24, parse_math=False)


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


def _refuse_other(panel: Map, outcomes: Sequence[Outcome]) -> None:
  for field in dataclasses.fields(outcomes[0].config):
    if field.name in (panel.x, panel.y):
      continue
    values = {written(getattr(each.config, field.name)) for each in outcomes}
    if len(values) > 1:
      raise base.UserError(
        f'the map has the axes {panel.x} and {panel.y}; --{field.name}='
        f'{",".join(sorted(values))}: it takes one value'
      )
