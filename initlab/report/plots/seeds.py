"""Single seeds, one row per setting, and the best of several seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initlab import stats
from initlab.experiment import Outcome
from initlab.panels import Best, Seeds
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_TRIES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)


# Seed by seed.


def draw_seeds(panel: Seeds, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel: one row per setting, one dot per seed."""
  from matplotlib import ticker
  from matplotlib.lines import Line2D

  rows = len(outcomes)
  picture = style.blank(1.3 + 0.45 * rows)
  axes = picture.add_subplot()
  axes.set_title(panel.title, pad=20, parse_math=False)
  axes.set_xlabel(panel.label, parse_math=False)
  values = [np.asarray(each.measured[panel.field], float) for each in outcomes]
  finite = [each[np.isfinite(each)] for each in values]
  if panel.log and all((each > 0).all() for each in finite if each.size):
    axes.set_xscale('log')
    drawn = np.concatenate(finite)
    if drawn.size:
      style.plain_numbers(axes.xaxis, np.log10(drawn.max() / drawn.min()))
  else:
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
  for row, each in enumerate(finite):
    colour = style.COLOURS[row % len(style.COLOURS)]
    place = row + _scatter(len(each))
    axes.plot(np.sort(each), place, 'o', color=colour, ms=2.4, alpha=0.5, mew=0)
    if each.size:
      median = stats.median(each)
      axes.plot([median.low, median.high], [row, row], color=style.INK, lw=3.5)
      axes.plot(median.value, row, '|', color=style.INK, ms=15, mew=1.6)
  axes.set_yticks(
    range(rows),
    [_row(each.label, x) for each, x in zip(outcomes, values, strict=True)],
    parse_math=False,
  )
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(rows - 0.45, -0.55)
  dot = Line2D([], [], color=style.INK, lw=0, marker='o', ms=2.4, alpha=0.5)
  dot.set_label('a seed')
  bar = Line2D([], [], color=style.INK, lw=3.5, marker='|', ms=11, mew=1.6)
  most, needs = max(map(len, finite)), stats.quantile_fewest(0.5)
  few = f'no interval (needs {needs})'
  bar.set_label(f'median, {few if most < needs else "95% interval"}')
  style.legend_above(axes, [dot, bar])
  return picture


def _row(label: str, values: np.ndarray) -> str:
  finite = int(np.isfinite(values).sum())
  if finite == len(values):
    return label
  return f'{label}\n({len(values) - finite} of {len(values)} not finite)'


def _scatter(count: int) -> np.ndarray:
  """Offsets `[count]` from -1/4 to 1/4, with neighbours far apart."""
  return (np.arange(count) * 0.6180339887 % 1 - 0.5) / 2


def caption_seeds(panel: Seeds, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  lost = style.lost(panel, outcomes)
  text = (
    f'{panel.title}: {panel.label}, one row per setting. Every dot is a seed; '
    'the tick is the median, the bar its 95% interval, exact for every '
    f'distribution, from {stats.quantile_fewest(0.5)} seeds on.'
  )
  return f'{text} {lost} and are not drawn.' if lost else text


# The best of several.


def caption_best(panel: Best, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  lost = style.lost(panel, outcomes)
  text = (
    f'The lowest {panel.label} of k seeds: the median over all choices of k '
    'seeds, for k up to half of them. Band: its 95% interval, exact for every '
    'distribution, for 5.3 k seeds or more.'
  )
  return f'{text} {lost} and count as the worst.' if lost else text


def draw_best(panel: Best, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel: a line per setting, with its interval as a band."""
  from matplotlib import ticker
  from matplotlib.lines import Line2D

  picture, axes = style.empty(
    panel.title, panel.label, style.with_legend(len(outcomes))
  )
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
    pen = style.pen(i)
    x = np.array(tries)[known]
    value, low, high = (part[known] for part in (value, low, high))
    # An upper end at a diverged seed is infinite and not drawn.
    high = np.where(np.isfinite(high), high, np.nan)
    axes.fill_between(x, low, high, color=pen['color'], alpha=0.25, lw=0)
    for end in (low, high):
      axes.plot(x, end, '_', color=pen['color'], ms=9, mew=1.2)
    axes.plot(x, value, lw=1.2, label=outcome.label, **pen)
    handles.append(Line2D([], [], lw=1.2, label=outcome.label, **pen))
  if most >= 10:
    axes.set_xscale('log')
  shown = [k for k in _TRIES if k <= most]
  axes.set_xticks(shown, [str(k) for k in shown])
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  if panel.log and axes.get_ylim()[0] > 0:
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    style.plain_numbers(axes.yaxis, np.log10(high / low))
  style.legend(axes, handles)
  sizes = sorted({len(each.seeds) for each in outcomes})
  covered = [k for k in shown if stats.best_of_k_fewest(k) <= sizes[-1]]
  interval = (
    f'95% interval up to k = {covered[-1]}'
    if covered
    else f'no interval (needs {stats.best_of_k_fewest(1)})'
  )
  of = f'median over choices of {" and ".join(map(str, sizes))} seeds'
  style.note(axes, f'{of}, {interval}')
  return picture
