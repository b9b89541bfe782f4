"""Learning curves: measures against training steps.

Draws `panels.Curves`. A PerStep measure gets one plot of all settings and a
small one per setting with thin lines for single seeds; a PerStepLayer measure
gets a small plot per setting with one curve per layer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initlab import stats
from initlab.experiment import DIVERGENCE, Outcome, in_words
from initlab.panels import Curves
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure


_COLUMNS = 2  # of small plots
_SEEDS = 64  # most single seeds that are drawn, evenly spaced
_TURN = 3  # every third recorded step has bars or markers
_FEW = 12  # most recorded steps for which all have them


def draw(panel: Curves, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel.

  Args:
    panel: whose field is `[S, T]` or `[S, T, L]`.
    outcomes: the settings, at least one.
  """
  low = _offset(panel, outcomes)
  outcomes = [
    each._replace(
      measured={**each.measured, panel.field: each.measured[panel.field] - low}
    )
    for each in outcomes
  ]
  if outcomes[0].measured[panel.field].ndim == 2:
    return _networks(panel, outcomes)
  return _layers(panel, outcomes)


def caption(panel: Curves, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  seeds = style.caption_seeds(panel, outcomes)
  start = f'{panel.title}: {panel.label} against the {panel.over}s, {seeds}.'
  low = _offset(panel, outcomes)
  end = ''
  if panel.excess:
    end = (
      f' Subtracted: {low:.5g}, the lowest of all; a seed close to it leaves '
      'the plot.'
    )
  if outcomes[0].measured[panel.field].ndim == 2:
    return (
      f'{start} Line and band: the '
      f'{stats.mean_name(outcomes[0], panel.field)} and its interval. Thin '
      'lines: single seeds. A diverged seed is left out from there on.'
      f'{end}'
    )
  what = 'hidden layer' if panel.hidden else 'layer'
  text = (
    f'{start} One row per setting, one curve per {what}, with its interval as '
    'a band.'
  )
  if panel.spread:
    spread = in_words(panel.spread)
    text += f' Bars: {spread} to both sides, its mean over seeds.'
  if panel.markers:
    text += f' Markers: {in_words(panel.markers)}, with intervals.'
  return f'{text} A diverged seed is left out from there on.{end}'


def _offset(panel: Curves, outcomes: Sequence[Outcome]) -> np.floating | float:
  """The lowest value of all if the panel shows the excess, else 0."""
  values = [each.measured[panel.field].ravel() for each in outcomes]
  finite = np.concatenate(values)
  finite = finite[np.isfinite(finite)]
  return finite.min() if panel.excess and finite.size else 0.0


def _networks(panel: Curves, outcomes: Sequence[Outcome]) -> 'Figure':
  from matplotlib import ticker

  alone = len(outcomes) == 1
  rows = 0 if alone else -(-len(outcomes) // _COLUMNS)
  picture = style.blank(2.9 + 1.5 * rows)
  grid = picture.add_gridspec(
    1 + rows, _COLUMNS, height_ratios=[2.3] + [1.2] * rows
  )
  top = picture.add_subplot(grid[0, :])
  top.set_title(panel.title, pad=18, parse_math=False)
  top.set_ylabel(panel.label, parse_math=False)
  top.set_xlabel(panel.over)
  estimates = [stats.average(each, panel.field) for each in outcomes]
  for i, (outcome, estimate) in enumerate(
    zip(outcomes, estimates, strict=True)
  ):
    colour = style.COLOURS[i % len(style.COLOURS)]
    if alone:
      _draw_seeds(top, outcome, panel.field, colour)
    line = style.DASHES[i // len(style.COLOURS) % 4]
    label = _title(outcome) if alone else outcome.label
    _draw_mean(top, outcome.steps, estimate, colour, line, label)
  top.legend(
    loc='upper left', bbox_to_anchor=(1, 1.03), handlelength=1.4, frameon=False
  )
  for i, outcome in enumerate(outcomes if not alone else ()):
    place = grid[1 + i // _COLUMNS, i % _COLUMNS]
    axes = picture.add_subplot(place, sharey=top)
    axes.set_title(_title(outcome), fontsize=8, parse_math=False)
    axes.set_xlim(0, _last(outcomes))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(3, integer=True))
    _draw_seeds(
      axes, outcome, panel.field, style.COLOURS[i % len(style.COLOURS)]
    )
    _draw_mean(axes, outcome.steps, estimates[i], style.INK, '-', '')
  values = [each.measured[panel.field] for each in outcomes]
  # The seed with the lowest value approaches 0; its share is left out.
  least = 1 / sum(map(len, values)) if panel.excess else 0.0
  _scale(top, outcomes, values, panel.log, 0.995, least)
  style.note(top, style.caption_seeds(panel, outcomes))
  return picture


def _layers(panel: Curves, outcomes: Sequence[Outcome]) -> 'Figure':
  rows = len(outcomes)
  picture = style.blank(0.9 + 1.4 * rows)
  grid = picture.subplots(rows, sharex=True, sharey=True, squeeze=False)[:, 0]
  values = []
  for axes, outcome in zip(grid, outcomes, strict=True):
    layers = outcome.measured[panel.field].shape[2]
    shown = max(1, layers - 1) if panel.hidden else layers
    for layer, colour in style.layers(shown):
      name = f'{layer + 1} out' if layer == layers - 1 else str(layer + 1)
      values += _draw_layer(axes, panel, outcome, layer, colour, name)
    axes.set_title(_title(outcome), fontsize=8, parse_math=False)
    style.legend_of_layers(axes, 'layer', handlelength=1.4)
  _scale(grid[0], outcomes, values, panel.log, 1.0)
  grid[-1].set_xlabel(panel.over)
  style.title_rows(picture, panel, panel.label, outcomes)
  return picture


def _draw_layer(
  axes: 'Axes',
  panel: Curves,
  outcome: Outcome,
  layer: int,
  colour: style.Colour,
  name: str,
) -> list[np.ndarray]:
  """One curve, its bars and markers; returns values that must be visible."""
  steps = np.asarray(outcome.steps)

  def mean(field: str) -> stats.Estimate:
    values = outcome.measured[field][:, :, layer]
    return stats.average(outcome._replace(measured={field: values}), field)

  estimate = mean(panel.field)
  _draw_mean(axes, outcome.steps, estimate, colour, '-', name)
  drawn = [estimate.value]
  # Layers alternate, so that bars and markers do not overlap.
  turn = slice(layer % _TURN, None, _TURN) if len(steps) > _FEW else slice(None)
  if panel.spread:
    reach = mean(panel.spread).value
    axes.errorbar(
      steps[turn],
      estimate.value[turn],
      reach[turn],
      fmt='none',
      ecolor=colour,
      elinewidth=0.9,
      capsize=1.5,
    )
    drawn += [estimate.value - reach, estimate.value + reach]
  if panel.markers:
    beside = mean(panel.markers)
    axes.errorbar(
      steps[turn],
      beside.value[turn],
      np.stack([beside.value - beside.low, beside.high - beside.value])[
        :, turn
      ],
      fmt=style.MARKERS[layer % len(style.MARKERS)],
      color=colour,
      ms=3.5,
      elinewidth=0.9,
      clip_on=False,
    )
    drawn.append(beside.value)
  return drawn


def _title(outcome: Outcome) -> str:
  """The setting, and how many of its seeds diverged, if any did."""
  steps = outcome.measured.get(DIVERGENCE[0], np.zeros(0))
  lost = int(np.isfinite(steps).sum())
  if not lost:
    return outcome.label
  return f'{outcome.label} ({lost} of {len(steps)} diverged)'


def _draw_mean(
  axes: 'Axes',
  steps: Sequence[int],
  estimate: stats.Estimate,
  colour: object,
  line: str,
  label: str,
) -> None:
  axes.fill_between(
    steps, estimate.low, estimate.high, color=colour, alpha=0.25, lw=0
  )
  axes.plot(steps, estimate.value, line, color=colour, lw=1.4, label=label)


def _draw_seeds(
  axes: 'Axes', outcome: Outcome, field: str, colour: str
) -> None:
  values = outcome.measured[field]
  count = min(len(values), _SEEDS)
  shown = np.linspace(0, len(values) - 1, count).round().astype(int)
  axes.plot(
    outcome.steps, values[shown].T, color=colour, lw=0.5, alpha=0.45, zorder=1
  )


def _scale(
  axes: 'Axes',
  outcomes: Sequence[Outcome],
  values: Sequence[np.ndarray],
  log: bool,
  share: float,
  least: float = 0.0,
) -> None:
  """Limits of the measured axis, for a share of the values.

  A logarithmic axis shows all of the largest and `least` of the smallest.
  """
  from matplotlib import ticker

  axes.set_xlim(0, _last(outcomes))
  flat = np.concatenate([each.ravel() for each in values])
  flat = flat[np.isfinite(flat)]
  if log and (flat > 0).any():
    lowest = np.quantile(flat[flat > 0], least)
    ends = np.array([lowest, flat.max()])
    style.plain_numbers(axes.yaxis, style.logarithmic(axes, ends, 0.2))
  else:
    high = max(0.0, np.quantile(flat, share)) if flat.size else 1.0
    low = np.min(flat, initial=high)
    low = low if 2 * low > high else min(0.0, low)  # zero, unless far below
    axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin if low else low, high + margin)


def _last(outcomes: Sequence[Outcome]) -> int:
  return max(each.steps[-1] for each in outcomes)
