"""Measures of a whole network: against a knob, seed by seed, best of k.

What `plots` draws for panels of the kinds 'sweep', 'seeds' and 'best', whose
fields are PerNetwork, one number a seed.
"""

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import base, stats

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

KINDS = ('sweep', 'seeds', 'best')

_INK = '#222222'
_MARK = 5.5  # points across
_SPAN = 30.0  # factor over which a knob is on a logarithmic axis
_TRIES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


class Pens(NamedTuple):
  """How lines are told from each other, in turn.

  colours: of lines.
  markers: of lines.
  width: of the figure, in inches.
  """

  colours: Sequence[str]
  markers: str
  width: float


class _Line(NamedTuple):
  """Settings that differ in one knob alone.

  label: what tells them from those of the other lines; may be empty.
  x: `[N]` values of the knob, ascending.
  estimate: `[N]`.
  theory: `[N]`, NaN where there is none.
  """

  label: str
  x: np.ndarray
  estimate: stats.Estimate
  theory: np.ndarray


def draw(
  panel: base.Panel, outcomes: Sequence[base.Outcome], pens: Pens
) -> 'Figure':
  """Draws one panel.

  Args:
    panel: whose kind is one of KINDS and whose field is `[S]`; `over` of a
      'sweep' is a knob whose values are numbers.
    outcomes: the settings, at least one.
    pens: how to tell them apart.
  """
  return {'sweep': _sweep, 'seeds': _seeds, 'best': _best}[panel.kind](
    panel, outcomes, pens
  )


def caption(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  """What the marks of a figure mean."""
  label = f'{panel.title}: {panel.label}'
  lost = _lost(panel, outcomes)
  if panel.kind == 'sweep':
    theory = any(panel.field in outcome.predicted for outcome in outcomes)
    return (
      f'{label} against {base.in_words(panel.over)}, one line for each '
      'combination of the other knobs that vary. Marks: '
      f'{counted(panel, outcomes)}.'
      + ' Dashed line: what theory predicts.' * theory
      + f' {lost} and are left out.' * bool(lost)
    )
  if panel.kind == 'seeds':
    return (
      f'{label}, one row a setting. Every dot is a seed; the tick is the '
      'median, the bar its 95% interval, exact for every law, from '
      f'{stats.quantile_fewest(0.5)} seeds on.'
      + f' {lost} and are not drawn.'
      * bool(lost)
    )
  return (
    f'The lowest {panel.label} of k seeds: the median over all choices of k of '
    'the seeds there are, for k up to half of them. Band: its 95% interval, '
    'exact for every law, where there are 5.3 k seeds or more.'
    + f' {lost} and count as the worst.'
    * bool(lost)
  )


def counted(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  """What an estimate of a 'sweep' is: 'mean of 32 seeds, 95% interval'."""
  values = [each.measured[panel.field] for each in outcomes]
  counts = {int(np.isfinite(each).sum()) for each in values} - {0}
  if not counts:
    return 'no finite value'
  low, high = min(counts), max(counts)
  if _are_shares(outcomes, panel.field):
    many = str(low) if low == high else f'{low} to {high}'
    return f'share of {many} seeds, 95% interval of Clopper and Pearson'
  name = stats.mean_name(outcomes[0], panel.field)
  return stats.interval_words(name, low, high)


def _lost(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  values = [each.measured[panel.field] for each in outcomes]
  count = sum(int((~np.isfinite(each)).sum()) for each in values)
  return f'{count} seeds are not finite' if count else ''


# Against a knob.


def _sweep(
  panel: base.Panel, outcomes: Sequence[base.Outcome], pens: Pens
) -> 'Figure':
  from matplotlib.lines import Line2D

  lines = _lines(panel, outcomes)
  picture, axes = _empty(panel, pens, len(lines))
  axes.set_xlabel(base.in_words(panel.over))
  _scale_knob(axes, np.concatenate([line.x for line in lines]))
  _scale_measure(axes, panel.log, lines)
  handles = []
  for i, line in enumerate(lines):
    colour = pens.colours[i % len(pens.colours)]
    marker = pens.markers[i % len(pens.markers)]
    value, low, high = line.estimate[:3]
    bars = np.stack([value - low, high - value])
    pen = {'color': colour, 'marker': marker, 'mfc': 'none', 'ms': _MARK}
    axes.errorbar(
      line.x, value, bars, ls='', capsize=2.5, elinewidth=1.2, **pen
    )
    axes.plot(line.x, value, color=colour, lw=0.8, alpha=0.5)
    axes.plot(line.x, line.theory, '--', color=colour, lw=1.1)
    handles.append(Line2D([], [], lw=0.8, label=line.label, **pen))
  handles = handles if len(lines) > 1 else []
  if any(np.isfinite(line.theory).any() for line in lines):
    handles.append(Line2D([], [], color=_INK, ls='--', lw=1.1, label='theory'))
  _legend(axes, handles)
  axes.annotate(
    counted(panel, outcomes),
    (0, 1),
    (0, 4),
    xycoords='axes fraction',
    textcoords='offset points',
    fontsize=8,
  )
  return picture


def _lines(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> list[_Line]:
  """One for each combination of the knobs beside `panel.over` that vary."""
  groups: dict[str, list[base.Outcome]] = {}
  knobs = _varying(outcomes, panel.over)
  for outcome in outcomes:
    groups.setdefault(_label(outcome.config, knobs), []).append(outcome)
  shares = _are_shares(outcomes, panel.field)
  return [_line(panel, label, group, shares) for label, group in groups.items()]


def _line(
  panel: base.Panel, label: str, group: list[base.Outcome], shares: bool
) -> _Line:
  group = sorted(group, key=lambda each: _number(each.config, panel.over))
  estimates = [_estimate(each, panel.field, shares) for each in group]
  value, low, high, n = (
    np.array([each[part] for each in estimates], float) for part in range(4)
  )
  return _Line(
    label,
    np.array([_number(each.config, panel.over) for each in group]),
    stats.Estimate(value, low, high, n, len(group[0].seeds)),
    np.array(
      [float(each.predicted.get(panel.field, np.nan)) for each in group]
    ),
  )


def _estimate(
  outcome: base.Outcome, field: str, shares: bool
) -> stats.Estimate:
  values = outcome.measured[field]
  finite = values[np.isfinite(values)]
  if shares and len(finite):
    return stats.share(int(finite.sum()), len(finite))
  return stats.average(outcome, field)


def _are_shares(outcomes: Sequence[base.Outcome], field: str) -> bool:
  """Whether every seed of every setting says yes or no: 1 or 0."""
  values = np.concatenate([each.measured[field] for each in outcomes])
  return bool(np.isin(values[np.isfinite(values)], (0, 1)).all())


def _varying(
  outcomes: Sequence[base.Outcome], over: str
) -> list[dataclasses.Field]:
  return [
    field
    for field in dataclasses.fields(outcomes[0].config)
    if field.name != over
    and len({getattr(each.config, field.name) for each in outcomes}) > 1
  ]


def _label(config: Any, knobs: Sequence[dataclasses.Field]) -> str:
  """The values of the knobs, with their names where a value has none."""
  words = []
  for knob in knobs:
    text = base.written(getattr(config, knob.name))
    named = knob.metadata['choices']
    words.append(text if named else f'{base.in_words(knob.name)} {text}')
  return ', '.join(words)


def _number(config: Any, knob: str) -> float:
  """The value of a knob; of a tuple, its first entry."""
  value = getattr(config, knob)
  return float(value[0] if isinstance(value, tuple) else value)


def _scale_knob(axes: 'Axes', x: np.ndarray) -> None:
  from matplotlib import ticker

  low, high = x.min(), x.max()
  if low > 0 and high >= _SPAN * low:
    axes.set_xscale('log')
    _plain_numbers(axes.xaxis, np.log10(high / low))
  elif len(set(x.tolist())) == 1:
    axes.set_xticks([low])
  else:
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))


def _scale_measure(axes: 'Axes', log: bool, lines: Sequence[_Line]) -> None:
  """From zero, unless all is far from it; shares from 0 to 1 with a margin."""
  parts = [part for line in lines for part in (*line.estimate[:3], line.theory)]
  drawn = np.concatenate(parts)
  drawn = drawn[np.isfinite(drawn)]
  positive = drawn[drawn > 0]
  if log and positive.size:
    low, high = np.log10(positive.min()), np.log10(positive.max())
    margin = max(0.06 * (high - low), 0.2)
    axes.set_yscale('log')
    axes.set_ylim(10 ** (low - margin), 10 ** (high + margin))
    _plain_numbers(axes.yaxis, high - low)
    return
  low, high = np.min(drawn, initial=0), np.max(drawn, initial=0)
  margin = 0.05 * (high - low) or 0.5
  axes.set_ylim(low - margin, high + margin)


def _plain_numbers(axis: Any, decades: float) -> None:
  """Ticks of a logarithmic axis, written without powers."""
  from matplotlib import ticker

  steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3.5 else (1,)
  axis.set_major_locator(ticker.LogLocator(subs=steps, numticks=8))
  axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f'{x:g}'))
  axis.set_minor_locator(ticker.NullLocator())


# Seed by seed.


def _seeds(
  panel: base.Panel, outcomes: Sequence[base.Outcome], pens: Pens
) -> 'Figure':
  from matplotlib import ticker
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D

  rows = len(outcomes)
  picture = Figure(
    figsize=(pens.width, 1.3 + 0.45 * rows), layout='constrained'
  )
  axes = picture.add_subplot()
  axes.set_title(panel.title, pad=20, parse_math=False)
  axes.set_xlabel(panel.label, parse_math=False)
  values = [np.asarray(each.measured[panel.field], float) for each in outcomes]
  finite = [each[np.isfinite(each)] for each in values]
  if panel.log and all((each > 0).all() for each in finite if each.size):
    axes.set_xscale('log')
    drawn = np.concatenate(finite)
    if drawn.size:
      _plain_numbers(axes.xaxis, np.log10(drawn.max() / drawn.min()))
  else:
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
  for row, each in enumerate(finite):
    colour = pens.colours[row % len(pens.colours)]
    place = row + _scatter(len(each))
    axes.plot(np.sort(each), place, 'o', color=colour, ms=2.4, alpha=0.5, mew=0)
    if each.size:
      median = stats.median(each)
      axes.plot([median.low, median.high], [row, row], color=_INK, lw=3.5)
      axes.plot(median.value, row, '|', color=_INK, ms=15, mew=1.6)
  axes.set_yticks(
    range(rows),
    [_row(each.label, x) for each, x in zip(outcomes, values, strict=True)],
    parse_math=False,
  )
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(rows - 0.45, -0.55)
  dot = Line2D([], [], color=_INK, lw=0, marker='o', ms=2.4, alpha=0.5)
  dot.set_label('a seed')
  bar = Line2D([], [], color=_INK, lw=3.5, marker='|', ms=11, mew=1.6)
  most, needs = max(map(len, finite)), stats.quantile_fewest(0.5)
  few = f'no interval (needs {needs})'
  bar.set_label(f'median, {few if most < needs else "95% interval"}')
  _legend_above(axes, [dot, bar])
  return picture


def _row(label: str, values: np.ndarray) -> str:
  finite = int(np.isfinite(values).sum())
  lost = f'\n({len(values) - finite} of {len(values)} not finite)'
  return label + lost * (finite < len(values))


def _scatter(count: int) -> np.ndarray:
  """Offsets `[count]` from -1/4 to 1/4 of which neighbours are far apart."""
  return (np.arange(count) * 0.6180339887 % 1 - 0.5) / 2


# Best of k.


def _best(
  panel: base.Panel, outcomes: Sequence[base.Outcome], pens: Pens
) -> 'Figure':
  from matplotlib import ticker
  from matplotlib.lines import Line2D

  picture, axes = _empty(panel, pens, len(outcomes))
  axes.set_ylabel(f'lowest {panel.label} of k', parse_math=False)
  axes.set_xlabel('seeds tried, k')
  handles, most = [], 1
  for i, outcome in enumerate(outcomes):
    values = outcome.measured[panel.field]
    tries = [k for k in _TRIES if k <= max(1, len(values) // 2)]
    most = max(most, tries[-1])
    estimates = [stats.best_of_k(values, k, best='lowest') for k in tries]
    value, low, high = (
      np.array([each[part] for each in estimates], float) for part in range(3)
    )
    known = np.isfinite(value)
    colour = pens.colours[i % len(pens.colours)]
    marker = pens.markers[i % len(pens.markers)]
    pen = {'color': colour, 'marker': marker, 'mfc': 'none', 'ms': _MARK}
    x = np.array(tries)[known]
    value, low, high = (part[known] for part in (value, low, high))
    # A high end that is a seed that diverged is out of sight.
    high = np.where(np.isfinite(high), high, np.nan)
    axes.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
    for end in (low, high):
      axes.plot(x, end, '_', color=colour, ms=9, mew=1.2)
    axes.plot(x, value, lw=1.2, **pen)
    handles.append(Line2D([], [], lw=1.2, label=outcome.label, **pen))
  if most >= 10:
    axes.set_xscale('log')
  shown = [k for k in _TRIES if k <= most]
  axes.set_xticks(shown, [str(k) for k in shown])
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  if panel.log and axes.get_ylim()[0] > 0:
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    _plain_numbers(axes.yaxis, np.log10(high / low))
  _legend(axes, handles)
  sizes = sorted({len(each.seeds) for each in outcomes})
  covered = [k for k in shown if stats.best_of_k_fewest(k) <= sizes[-1]]
  interval = (
    f'95% interval up to k = {covered[-1]}'
    if covered
    else f'no interval (needs {stats.best_of_k_fewest(1)})'
  )
  axes.annotate(
    f'median over choices of {" and ".join(map(str, sizes))} seeds, {interval}',
    (0, 1),
    (0, 4),
    xycoords='axes fraction',
    textcoords='offset points',
    fontsize=8,
  )
  return picture


# Within.


def _empty(
  panel: base.Panel, pens: Pens, lines: int
) -> tuple['Figure', 'Axes']:
  """A figure of one picture with its title and the name of its measure."""
  from matplotlib.figure import Figure

  height = max(2.9, 1.2 + 0.19 * lines)
  picture = Figure(figsize=(pens.width, height), layout='constrained')
  axes = picture.add_subplot()
  axes.set_title(panel.title, pad=20, parse_math=False)
  axes.set_ylabel(panel.label, parse_math=False)
  return picture, axes


def _legend(axes: 'Axes', handles: Sequence[Any]) -> None:
  if handles:
    legend = axes.legend(
      handles=handles,
      loc='upper left',
      bbox_to_anchor=(1, 1.03),
      handlelength=1.8,
    )
    for text in legend.get_texts():
      text.set_parse_math(False)


def _legend_above(axes: 'Axes', handles: Sequence[Any]) -> None:
  axes.legend(
    handles=handles,
    ncols=2,
    loc='lower left',
    bbox_to_anchor=(-0.02, 0.99),
    borderaxespad=0,
    handlelength=1.8,
    handletextpad=0.5,
    columnspacing=1.5,
  )
