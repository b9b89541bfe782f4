"""PerNetwork measures against a knob."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import stats
from initlab.experiment import Outcome, in_words, varying, written
from initlab.panels import Sweep
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure


_SPAN = 30.0  # ratio of knob values from which their axis is logarithmic


class _Line(NamedTuple):
  """Settings that differ only in the knob on the axis.

  label: the values of the other knobs that vary; may be empty.
  x: `[N]` values of the knob, ascending.
  estimate: `[N]`.
  theory: `[N]`, NaN where there is none.
  """

  label: str
  x: np.ndarray
  estimate: stats.Estimate
  theory: np.ndarray


def caption(panel: Sweep, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  lost = style.lost(panel, outcomes)
  text = (
    f'{panel.title}: {panel.label} against {in_words(panel.knob)}, one line '
    'for each combination of the other knobs that vary. Marks: '
    f'{style.caption_seeds(panel, outcomes)}.'
  )
  if any(panel.field in outcome.predicted for outcome in outcomes):
    text += ' Dashed line: theory.'
  return f'{text} {lost} and are left out.' if lost else text


def draw(panel: Sweep, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws a measure against a knob.

  Args:
    panel: whose field is `[S]`, and whose `knob` is one of numbers.
    outcomes: the settings, at least one.
  """
  from matplotlib.lines import Line2D

  lines = grouped(panel, outcomes)
  picture, axes = style.empty(
    panel.title, panel.label, style.with_legend(len(lines))
  )
  axes.set_xlabel(in_words(panel.knob))
  _scale_knob(axes, np.concatenate([line.x for line in lines]))
  _scale_measure(axes, panel.log, lines)
  handles = []
  for i, line in enumerate(lines):
    pen = style.pen(i)
    colour = pen['color']
    value, low, high = line.estimate[:3]
    bars = np.stack([value - low, high - value])
    name = line.label or panel.label
    axes.errorbar(
      *(line.x, value, bars),
      ls='',
      capsize=2.5,
      elinewidth=1.2,
      label=name,
      **pen,
    )
    axes.plot(line.x, value, color=colour, lw=0.8, alpha=0.5)
    theory = f'{name}, theory'
    axes.plot(line.x, line.theory, '--', color=colour, lw=1.1, label=theory)
    handles.append(Line2D([], [], lw=0.8, label=line.label, **pen))
  handles = handles if len(lines) > 1 else []
  if any(np.isfinite(line.theory).any() for line in lines):
    handles.append(style.theory_handle())
  style.legend(axes, handles)
  style.note(axes, style.caption_seeds(panel, outcomes))
  return picture


def grouped(panel: Sweep, outcomes: Sequence[Outcome]) -> list[_Line]:
  """One line per combination of the varying knobs.

  Neither `panel.knob` nor a tuned knob, which has one value a mark, counts.
  """
  groups = by_others(outcomes, {panel.knob, *(panel.tuned or ())[:1]})
  return [_line(panel, label, group) for label, group in groups.items()]


def _line(panel: Sweep, label: str, group: list[Outcome]) -> _Line:
  group = sorted(group, key=lambda each: _number(each.config, panel.knob))
  estimates = [stats.average(each, panel.field) for each in group]
  value, low, high, n = (
    np.array([each[part] for each in estimates], float) for part in range(4)
  )
  return _Line(
    label,
    np.array([_number(each.config, panel.knob) for each in group]),
    stats.Estimate(value, low, high, n, len(group[0].seeds)),
    np.array(
      [float(each.predicted.get(panel.field, np.nan)) for each in group]
    ),
  )


def by_others(
  outcomes: Sequence[Outcome], but: Iterable[str]
) -> dict[str, list[Outcome]]:
  """The settings by the values of their other knobs that vary, in words."""
  knobs = varying([each.config for each in outcomes], but)
  groups: dict[str, list[Outcome]] = {}
  for outcome in outcomes:
    words = []
    for knob in knobs:
      text = written(getattr(outcome.config, knob.name))
      named = knob.metadata['choices']
      words.append(text if named else f'{in_words(knob.name)} {text}')
    groups.setdefault(', '.join(words), []).append(outcome)
  return groups


def _number(config: Any, knob: str) -> float:
  """The value of a knob; of a tuple, its first entry."""
  value = getattr(config, knob)
  return float(value[0] if isinstance(value, tuple) else value)


def _scale_knob(axes: 'Axes', x: np.ndarray) -> None:
  from matplotlib import ticker

  low, high = x.min(), x.max()
  if low > 0 and high >= _SPAN * low:
    axes.set_xscale('log')
    style.plain_numbers(axes.xaxis, np.log10(high / low))
  elif len(set(x.tolist())) == 1:
    axes.set_xticks([low])
  else:
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))


def _scale_measure(axes: 'Axes', log: bool, lines: Sequence[_Line]) -> None:
  """From zero, unless all values are far from it; shares from 0 to 1."""
  parts = [part for line in lines for part in (*line.estimate[:3], line.theory)]
  drawn = np.concatenate(parts)
  drawn = drawn[np.isfinite(drawn)]
  positive = drawn[drawn > 0]
  if log and positive.size:
    decades = style.logarithmic(axes, positive, 0.2)
    style.plain_numbers(axes.yaxis, decades)
    return
  low, high = np.min(drawn, initial=0), np.max(drawn, initial=0)
  margin = 0.05 * (high - low) or 0.5
  axes.set_ylim(low - margin, high + margin)
