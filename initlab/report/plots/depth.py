"""A per-layer measure against depth, with intervals and theory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import stats
from initlab.experiment import Outcome
from initlab.panels import Depth
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_POINTS = 25  # most layers drawn as points with error bars


class _Curve(NamedTuple):
  """One setting of a depth plot; arrays `[L]`, NaN where unknown."""

  label: str
  pen: dict[str, Any]
  layer: np.ndarray
  estimate: stats.Estimate
  geometric: bool
  theory: np.ndarray


def draw(panel: Depth, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws a per-layer measure against depth, one curve per setting."""
  curves = [_curve(panel.field, i, each) for i, each in enumerate(outcomes)]
  height = max(style.HEIGHT, 0.9 + 0.19 * len(curves))
  picture, axes = style.empty(panel.title, panel.label, height)
  axes.set_xlabel(panel.over)
  deep = _scale_depth(axes, curves) > _POINTS
  _scale_measure(axes, curves, panel.log)
  for i, curve in enumerate(curves):
    if deep:
      _draw_band(axes, curve, i)
    else:
      _draw_points(axes, curve)
    _draw_theory(axes, curve)
    _draw_zeros(axes, curve)
  _draw_labels(axes, curves, 11 / (72 * 0.68 * height))
  _draw_legend(axes, curves, deep, style.caption_seeds(panel, outcomes))
  return picture


def caption(panel: Depth, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  seeds = style.caption_seeds(panel, outcomes)
  text = (
    f'{panel.title}: {panel.label} against depth, from input (left) to output. '
    f'Marks: {seeds}.'
  )
  theory = any(panel.field in outcome.predicted for outcome in outcomes)
  return f'{text} Dashed line: theory.' if theory else text


def _curve(field: str, place: int, outcome: Outcome) -> _Curve:
  estimate = stats.average(outcome, field)
  layers = len(estimate.value)
  return _Curve(
    outcome.label,
    style.pen(place),
    np.arange(1, layers + 1),
    estimate,
    field in outcome.geometric,
    outcome.predicted.get(field, np.full(layers, np.nan)),
  )


def _scale_depth(axes: 'Axes', curves: Sequence[_Curve]) -> int:
  """Sets the axis of layers; returns their number."""
  from matplotlib import ticker

  depth = max(len(curve.layer) for curve in curves)
  margin = 0.3 if depth <= 12 else 0.03 * depth
  axes.set_xlim(1 - margin, depth + margin)
  round_numbers = ticker.MaxNLocator(5, integer=True).tick_values(1, depth)
  few = [1, *(tick for tick in round_numbers if 1 < tick <= depth)]
  axes.set_xticks(list(range(1, depth + 1)) if depth <= 12 else few)
  return depth


def _scale_measure(axes: 'Axes', curves: Sequence[_Curve], log: bool) -> None:
  """Sets the measured axis: at least a factor of six, or from zero.

  A linear axis spans at least 0.1: its quantities are of order one, and shares
  or cosines close to zero should look small.
  """
  drawn = np.concatenate(
    [
      part
      for curve in curves
      for part in (curve.estimate.value, curve.estimate.high, curve.theory)
    ]
  )
  # The low end of an arithmetic mean may be near 0, decades below it.
  lows = [curve.estimate.low for curve in curves if curve.geometric]
  drawn = np.concatenate([drawn, *lows])
  drawn = drawn[np.isfinite(drawn)]
  positive = drawn[drawn > 0]
  if log and positive.size:
    decades = style.logarithmic(axes, positive, 0.0, (drawn == 0).any())
    style.plain_numbers(axes.yaxis, decades, thirds=4)
  else:
    lows = np.concatenate([curve.estimate.low for curve in curves])
    low = min(np.min(drawn, initial=0), np.nanmin(lows, initial=0))
    high = max(np.max(drawn, initial=0), low + 0.1)
    axes.set_ylim(low - 0.04 * (high - low), high + 0.06 * (high - low))


def _draw_points(axes: 'Axes', curve: _Curve) -> None:
  """Draws hollow markers, so that overlapping settings stay visible."""
  value, low, high = curve.estimate[:3]
  axes.errorbar(
    curve.layer,
    value,
    np.stack([value - low, high - value]),
    ls='',
    capsize=2.5,
    lw=1.2,
    label=curve.label,
    **curve.pen,
  )


def _draw_band(axes: 'Axes', curve: _Curve, place: int) -> None:
  """Draws a pale line and its interval, with marks staggered by setting."""
  estimate = curve.estimate
  axes.fill_between(
    curve.layer,
    estimate.low,
    estimate.high,
    color=curve.pen['color'],
    alpha=0.25,
    lw=0,
  )
  axes.plot(
    curve.layer,
    estimate.value,
    color=curve.pen['color'],
    alpha=0.5,
    lw=2.5,
    marker=curve.pen['marker'],
    ms=style.MARK,
    label=curve.label,
    markevery=(0.04 + 0.03 * (place % 7), 0.25),
  )


def _draw_theory(axes: 'Axes', curve: _Curve) -> None:
  """Draws a dashed line; a short dash for an isolated layer."""
  log = axes.get_yscale() == 'log'
  known = np.isfinite(curve.theory) & ((curve.theory > 0) | (not log))
  around = np.pad(known, 1)
  alone = known & ~around[:-2] & ~around[2:]
  line = np.where(known, curve.theory, np.nan)
  colour = curve.pen['color']
  name = f'{curve.label}, theory'
  axes.plot(curve.layer, line, '--', color=colour, lw=1.1, label=name)
  axes.plot(curve.layer[alone], line[alone], '_', color=colour, ms=12)


def _draw_zeros(axes: 'Axes', curve: _Curve) -> None:
  """On a log axis, draws estimates of exactly zero on its lower edge."""
  zero = curve.layer[curve.estimate.value == 0]
  if axes.get_yscale() == 'log' and zero.size:
    axes.plot(
      zero,
      np.zeros(zero.size),
      ls='',
      transform=axes.get_xaxis_transform(),
      clip_on=False,
      **curve.pen,
    )
    axes.annotate(
      'zero',
      (0, 0),
      (-6, 0),
      xycoords='axes fraction',
      textcoords='offset points',
      ha='right',
      va='center',
      fontsize=8,
    )


def _draw_labels(axes: 'Axes', curves: Sequence[_Curve], gap: float) -> None:
  """Labels every curve at its right end, in rows at least `gap` apart."""
  heights = [_heights(axes, curve) for curve in curves]
  for curve, place in zip(curves, _spread(heights, gap), strict=True):
    label = curve.label
    if not np.isfinite(curve.estimate.value).any():
      label += ' (no finite value)'
    axes.plot(
      1.03,
      place,
      ls='',
      transform=axes.transAxes,
      clip_on=False,
      **curve.pen,
    )
    axes.text(
      1.06,
      place,
      label,
      va='center',
      fontsize=8,
      parse_math=False,
      transform=axes.transAxes,
    )


def _heights(axes: 'Axes', curve: _Curve) -> tuple[float, float]:
  """The curve's last and its mean height, as fractions of the axis."""
  value = curve.estimate.value[np.isfinite(curve.estimate.value)]
  low, high = axes.get_ylim()
  if not value.size:
    return 0.0, 0.0
  if axes.get_yscale() == 'log':
    value = np.log(np.maximum(value, low))
    low, high = np.log(low), np.log(high)
  fractions = (value - low) / (high - low)
  return float(fractions[-1]), float(fractions.mean())


def _spread(heights: Sequence[tuple[float, float]], gap: float) -> np.ndarray:
  """Label heights `[N]` near the curves' ends, at least `gap` apart.

  Curves that end within one gap of each other are ordered by mean height.
  """
  last, average = np.array(heights).T
  order = np.lexsort((average, np.round(last / gap)))
  ramp = gap * np.arange(len(order))
  wanted = last[order] - ramp
  upward = np.maximum.accumulate(wanted)
  downward = np.minimum.accumulate(wanted[::-1])[::-1]
  placed = np.empty(len(order))
  placed[order] = (
    np.clip((upward + downward) / 2, 0, max(0, 0.95 - ramp[-1])) + ramp
  )
  return placed


def _draw_legend(
  axes: 'Axes', curves: Sequence[_Curve], deep: bool, seeds: str
) -> None:
  """A legend above the axes, for marks and dashed lines."""
  from matplotlib.lines import Line2D

  if deep:
    handles = [Line2D([], [], color=style.INK, lw=2.5, alpha=0.5, label=seeds)]
  else:
    ring = style.pen(0) | {'color': style.INK}
    handles = [Line2D([], [], lw=0, label=seeds, **ring)]
  if any(np.isfinite(curve.theory).any() for curve in curves):
    handles.append(style.theory_handle())
  style.legend_above(axes, handles)
