"""Figures of an audit: signals and gradients site by site, and branches."""

from collections.abc import Callable, Sequence
import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import stats
from initlab.models.audit import Audit
from initlab.models.coordinates import Coordinates
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_NAMES = 40  # places up to which all have their names below the axis


class _Points(NamedTuple):
  """Points in the order of the program, `[P]`.

  names: of the places; '' for all but the first iteration of a loop.
  estimates: of a root mean square, NaN where a place has no such measure.
  """

  names: list[str]
  estimates: stats.Estimate


class AuditFigure(NamedTuple):
  """A figure of an audit.

  title: what it shows.
  caption: what the marks mean.
  applies: whether a model has what it shows.
  draw: the figure, in the style of `draw` alone.
  """

  title: str
  caption: str
  applies: Callable[[Audit], bool]
  draw: Callable[[Audit], 'Figure']


def draw(audit: Audit, name: str) -> 'Figure':
  """Draws a figure of `FIGURES`."""
  return style.settled(lambda: FIGURES[name].draw(audit))


def names(audit: Audit) -> tuple[str, ...]:
  """The figures of `FIGURES` that a model has something for."""
  return tuple(name for name, each in FIGURES.items() if each.applies(audit))


def _empty(name: str, label: str) -> tuple['Figure', 'Axes']:
  return style.empty(FIGURES[name].title, label, 3.6, 1.5 * style.WIDTH)


def _forward(audit: Audit) -> 'Figure':
  from matplotlib.lines import Line2D

  picture, axes = _empty('forward', 'rms of s')
  points = _points(audit.sites, 'forward_square', 'forward_square')
  theory = _points(audit.sites, 'predicted_square', 'forward_square')
  _draw(axes, points, style.COLOURS[0], 'o')
  value = np.asarray(theory.estimates.value)
  axes.plot(np.arange(len(value)), value, '_', color=style.INK, ms=11, mew=1.5)
  _finish(axes, points)
  line = functools.partial(Line2D, [], [], linestyle='')
  measured = line(marker='o', color=style.COLOURS[0], label='measured')
  predicted = line(marker='_', color=style.INK, label='predicted')
  style.legend_above(axes, [measured, predicted])
  return picture


def _backward(audit: Audit) -> 'Figure':
  picture, axes = _empty('backward', 'rms of dC/ds')
  points = _points(audit.sites, 'backward_square', 'forward_square')
  _draw(axes, points, style.COLOURS[1], 's')
  _finish(axes, points)
  return picture


def _branches(audit: Audit) -> 'Figure':
  picture, axes = _empty('branches', 'branch over stream')
  ratio = _points(audit.residuals, 'branch_over_skip', 'branch_square', False)
  _draw(axes, ratio, style.COLOURS[2], '^')
  _finish(axes, ratio)
  return picture


def coordinates(found: Coordinates) -> 'Figure':
  """Draws a coordinate check: sizes against width, a line a site.

  The left picture has rms(x_0), the right one rms(x_t - x_0) after the last
  step; lines are geometric means over seeds, bands their 95% intervals.
  """
  return style.settled(lambda: _coordinates(found))


def _coordinates(found: Coordinates) -> 'Figure':
  picture = style.blank(3.2, 1.5 * style.WIDTH)
  left, right = picture.subplots(1, 2, sharex=True)
  sizes = (
    (left, found.start, 'at the start'),
    (
      right,
      found.moved[:, :, -1],
      f'change after {found.moved.shape[2]} steps',
    ),
  )
  for axes, rms, title in sizes:
    values = stats.geometric_mean(np.where(rms > 0, rms, np.nan))
    for place, site in enumerate(found.sites):
      value, low, high = (np.asarray(part)[:, place] for part in values[:3])
      colour = style.COLOURS[place % len(style.COLOURS)]
      dash = style.DASHES[place // len(style.COLOURS) % 4]
      axes.fill_between(found.widths, low, high, color=colour, alpha=0.2, lw=0)
      axes.plot(
        found.widths, value, dash, color=colour, marker='o', ms=3, label=site
      )
    axes.set_title(title)
    axes.set_xscale('log', base=2)
    axes.set_xticks(found.widths, [str(width) for width in found.widths])
    positive = np.concatenate([np.ravel(part) for part in values[:3]])
    positive = positive[np.isfinite(positive)]
    if positive.size:
      decades = style.logarithmic(axes, positive, 0.05)
      style.plain_numbers(axes.yaxis, decades)
    axes.set_xlabel('width')
  left.set_ylabel('rms of coordinates')
  right.legend(loc='upper left', bbox_to_anchor=(1, 1.03), fontsize=7)
  return picture


_MARKS = (
  'Marks: geometric means over seeds with their 95% intervals, in the order of '
  'the program. The iterations of a loop stand beside each other, joined by a '
  'line.'
)
FIGURES: dict[str, AuditFigure] = {
  'forward': AuditFigure(
    'Signals, site by site',
    f'{_MARKS} Bars: what is predicted if the weights are independent of each '
    'other and of their input.',
    lambda audit: bool(audit.sites),
    _forward,
  ),
  'backward': AuditFigure(
    'Gradients, site by site',
    _MARKS,
    lambda audit: bool(audit.sites),
    _backward,
  ),
  'branches': AuditFigure(
    'Branches of residual adds over their stream',
    _MARKS,
    lambda audit: bool(audit.residuals),
    _branches,
  ),
}


def _points(
  places: Sequence[Any], measure: str, shape: str, root: bool = True
) -> _Points:
  """The points of a measure.

  Args:
    places: sites or residual adds.
    measure: its name; a place may have none.
    shape: a measure that every place has.
    root: whether its root is drawn.
  """
  names: list[str] = []
  columns = []
  for place in places:
    flat = lambda name, place=place: np.reshape(
      place.measured[name], (len(place.measured[name]), -1)
    )
    every = flat(shape)
    found = flat(measure) if measure in place.measured else every * np.nan
    names += [place.name] + [''] * (every.shape[1] - 1)
    columns.append(np.sqrt(found) if root else found)
  values = np.concatenate(columns, axis=1)
  positive = np.where(values > 0, values, np.nan)
  return _Points(names, stats.geometric_mean(positive))


def _draw(axes: 'Axes', points: _Points, colour: str, marker: str) -> None:
  value, low, high = (np.asarray(part) for part in points.estimates[:3])
  at = np.arange(len(value))
  axes.vlines(at, low, high, color=colour, alpha=0.6)
  starts = [i for i, name in enumerate(points.names) if name]
  for first, end in itertools.pairwise([*starts, len(at)]):
    place = slice(first, end)
    axes.plot(at[place], value[place], color=colour, lw=0.8)
  axes.plot(at, value, marker, color=colour, ms=style.MARK)


def _finish(axes: 'Axes', points: _Points) -> None:
  value = np.asarray(points.estimates.value)
  positive = value[np.isfinite(value)]
  if positive.size:
    decades = style.logarithmic(axes, positive, 0.15)
    style.plain_numbers(axes.yaxis, decades)
  named = [(i, name) for i, name in enumerate(points.names) if name]
  step = -(-len(named) // _NAMES)
  shown = named[::step]
  axes.set_xticks(
    [i for i, _ in shown],
    [name if len(name) < 28 else f'…{name[-26:]}' for _, name in shown],
    rotation=60,
    ha='right',
    fontsize=7,
    rotation_mode='anchor',
  )
  axes.set_xlim(-0.5, len(points.names) - 0.5)
