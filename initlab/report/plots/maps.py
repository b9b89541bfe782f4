"""PerNetwork measures by knobs, as heat maps with the lines of theory."""

from collections.abc import Callable, Sequence
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import stats
from initlab.experiment import Outcome, in_words, written
from initlab.panels import Map
from initlab.report.plots import style, sweep

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_POINTS = 257  # of a line


class _Axis(NamedTuple):
  """One axis of a map.

  names: of its knobs.
  values: their values, ascending numbers or words in the order of the run.
  edges: `[N + 1]` the ends of the cells.
  words: whether the values are words.
  """

  names: tuple[str, ...]
  values: list[Any]
  edges: np.ndarray
  words: bool

  @property
  def label(self) -> str:
    """The names of the knobs in words."""
    return ', '.join(map(in_words, self.names))

  def place(self, config: Any) -> int:
    """The index of a setting's cell."""
    return self.values.index(_value(config, self.names))


def caption(panel: Map, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  x, y = (_axis(knob, outcomes) for knob in (panel.x, panel.y))
  text = (
    f'{panel.title}, by {x.label} and {y.label}. Colour: '
    f'{style.caption_seeds(panel, outcomes, stats.of_seeds)}.'
  )
  if panel.lines:
    text += f' Lines: {_named(panel)}, by theory.'
  means = [stats.average(each, panel.field).value for each in outcomes]
  if panel.log and np.less_equal(means, 0).any():
    text += ' Cells of 0 or less are blank.'
  lost = style.lost(panel, outcomes)
  return f'{text} {lost} and are left out.' if lost else text


def draw(panel: Map, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws the mean over seeds by knobs, a map for each value of the others.

  A tuned knob has one value a cell and does not count.

  Args:
    panel: whose field is `[S]`.
    outcomes: the settings, at least one; cells that are not among them, those
      without a finite seed and, of a logarithmic scale, those that are not
      above 0 are blank.
  """
  x, y = (_axis(knob, outcomes) for knob in (panel.x, panel.y))
  groups = sweep.by_others(
    outcomes, {*x.names, *y.names, *(panel.tuned or ())[:1]}
  )
  cells = [_cells(panel, group) for group in groups.values()]
  drawn = np.concatenate([values.ravel() for _, _, values in cells])
  drawn = drawn[np.isfinite(drawn)] if np.isfinite(drawn).any() else np.ones(1)
  ends = {'vmin': drawn.min(), 'vmax': drawn.max()}
  rows = max(len(y.values) for _, y, _ in cells)
  height = max(3.0, 1.6 + 0.19 * rows) if y.words else 3.0
  picture = style.blank(0.5 + height * len(groups))
  grid = picture.subplots(len(groups), squeeze=False)[:, 0]
  for axes, label, each in zip(grid, groups, cells, strict=True):
    x, y, values = each
    edges = x.edges, y.edges
    norm = 'log' if panel.log else None
    mesh = axes.pcolormesh(*edges, values, cmap='viridis', norm=norm, **ends)
    title = ', '.join(filter(None, [panel.title, label]))
    axes.set_title(title, pad=24, parse_math=False)
    axes.set_xlabel(x.label)
    axes.set_ylabel(y.label)
    _ticks(axes, x, y)
    bar = picture.colorbar(mesh, ax=axes)
    bar.set_label(panel.label, parse_math=False)
    bar.outline.set_visible(False)
    if panel.lines:
      _draw_lines(axes, panel, groups[label][0].config, x.values, edges[1])
  return picture


def _cells(
  panel: Map, outcomes: Sequence[Outcome]
) -> tuple[_Axis, _Axis, np.ndarray]:
  """The axes, and the mean at each cell, `[y, x]`."""
  x, y = (_axis(knob, outcomes) for knob in (panel.x, panel.y))
  values = np.full((len(y.values), len(x.values)), np.nan)
  for each in outcomes:
    mean = stats.average(each, panel.field).value
    values[y.place(each.config), x.place(each.config)] = mean
  return x, y, np.where(values > 0, values, np.nan) if panel.log else values


def _axis(knob: str | tuple[str, ...], outcomes: Sequence[Outcome]) -> _Axis:
  """The values of a knob, or of several together."""
  names = (knob,) if isinstance(knob, str) else knob
  values = [_value(each.config, names) for each in outcomes]
  values = list(dict.fromkeys(values))
  if all(isinstance(each, int | float) for each in values):
    values = sorted(map(float, values))
    return _Axis(names, values, _edges(np.array(values)), words=False)
  return _Axis(names, values, np.arange(len(values) + 1) - 0.5, words=True)


def _value(config: Any, names: tuple[str, ...]) -> Any:
  """The value of the knobs: a number, or words."""
  values = [getattr(config, name) for name in names]
  if len(values) == 1 and isinstance(values[0], int | float):
    return values[0]
  return ' '.join(map(written, values))


def _ticks(axes: Any, x: _Axis, y: _Axis) -> None:
  """Every value of y, and every word of x."""
  if x.words:
    axes.set_xticks(range(len(x.values)), x.values, rotation=45, ha='right')
  if y.words:
    axes.set_yticks(range(len(y.values)), y.values)
    axes.set_ylim(y.edges[-1], y.edges[0])  # the first is at the top
  else:
    axes.set_yticks(y.values)


def _draw_lines(
  axes: Any, panel: Map, config: Any, x: Sequence[float], rows: np.ndarray
) -> None:
  """The multiples of what theory says, cut off far above the map."""
  assert isinstance(panel.x, str)
  across = np.linspace(x[0], x[-1], _POINTS)
  along = [
    dataclasses.replace(config, **{panel.x: value}) for value in across.tolist()
  ]
  limits = axes.get_xlim()
  pairs = itertools.product(panel.lines, panel.multiples)
  for place, (line, multiple) in enumerate(pairs):
    y = np.minimum([multiple * line(each) for each in along], 100 * rows[-1])
    dashes = style.DASHES[place % 4]
    axes.plot(across, y, dashes, color='white', lw=2.6)
    label = _times(multiple, _name(line))
    axes.plot(across, y, dashes, color=style.COLOURS[1], lw=1.6, label=label)
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
  names = ' and '.join(f'the {_name(line)}' for line in panel.lines)
  if panel.multiples == (1,):
    return names
  times = ' and '.join(f'{multiple:g}' for multiple in panel.multiples)
  return f'{times} times {names}'


def _times(multiple: float, name: str) -> str:
  """'4 x depth scale'; one of it is 'depth scale'."""
  return name if multiple == 1 else f'{multiple:g} x {name}'


def _name(line: Callable[[Any], float]) -> str:
  """'depth scale'"""
  return in_words(getattr(line, '__name__', 'theory'))
