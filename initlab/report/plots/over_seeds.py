"""Figures of any numbers over seeds: a histogram, or a curve of a vector."""

from typing import TYPE_CHECKING

import numpy as np

from initlab import stats
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_SPAN = 30.0  # ratio of means from which their axis is logarithmic
_MARKED = 40  # entries up to which each has a mark
_SEEDS = 20  # most thin lines
_BINS = 50  # most bins


def draw(name: str, values: np.ndarray) -> 'Figure':
  """Draws a number a seed, or a vector a seed.

  Args:
    name: of the values.
    values: `[S]`, a histogram; or `[S, K]`, a curve of the means against the
      entry, with the interval as a band; of booleans, of the shares.

  Returns:
    A figure outside pyplot's global state.
  """
  kind = _histogram if values.ndim == 1 else _curve
  return style.settled(lambda: kind(name, values))


def caption(values: np.ndarray) -> str:
  """The caption of `draw` of the values."""
  if values.ndim == 1:
    return (
      'How many seeds have which value; every tick at the bottom is a seed. '
      f'Line and band: the {_estimate(values)}.'
    )
  return (
    f'Against the entry, counted from 0: the {_estimate(values)}, as a band. '
    'Thin lines: single seeds.'
  )


def _estimate(values: np.ndarray) -> str:
  """'mean of 32 seeds, 95% interval'."""
  counts = np.isfinite(values).sum(0)
  known = counts[counts > 0]
  if not known.size:
    return 'mean of no finite value'
  return stats.interval_words(_name(values), int(known.min()), int(known.max()))


def _name(values: np.ndarray) -> str:
  return 'share' if values.dtype == bool else 'mean'


def _histogram(name: str, values: np.ndarray) -> 'Figure':
  from matplotlib import ticker

  picture, axes = style.empty(name, 'seeds')
  values = np.asarray(values, float)
  found = stats.mean(values)
  finite = values[np.isfinite(values)]
  axes.stairs(*np.histogram(finite, _edges(finite)), fill=True, color='#a9d4f0')
  value, low, high = map(float, found[:3])
  axes.axvspan(low, high, color=style.INK, alpha=0.2, lw=0)
  axes.axvline(value, color=style.INK, lw=1.4)
  axes.plot(
    *(finite, np.zeros(finite.size), '|'),
    color=style.INK,
    ms=8,
    mew=0.8,
    clip_on=False,
    label='a seed',
  )
  axes.set_ylim(bottom=0)
  axes.set_xlabel(name, parse_math=False)
  whole = bool(np.all(finite == np.round(finite)))
  axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=whole))
  axes.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
  style.note(axes, _estimate(values))
  return picture


def _edges(finite: np.ndarray) -> np.ndarray:
  """Of the bins; one a whole number, if there are only a few."""
  low, high = np.min(finite, initial=np.inf), np.max(finite, initial=-np.inf)
  if high - low < _BINS and np.all(finite == np.round(finite)):
    return np.arange(low, high + 2) - 0.5
  bins = min(round(2 * finite.size ** (1 / 3)), _BINS)
  return np.histogram_bin_edges(finite, max(1, bins))


def _curve(name: str, values: np.ndarray) -> 'Figure':
  from matplotlib import ticker

  picture, axes = style.empty(name, name)
  found = stats.mean_or_share(values)
  entries = np.arange(values.shape[1])
  count = min(len(values), _SEEDS)
  shown = np.linspace(0, len(values) - 1, count).round().astype(int)
  colour = style.COLOURS[0]
  lines = values[shown].T.astype(float)
  axes.plot(entries, lines, color=colour, lw=0.5, alpha=0.3)
  axes.fill_between(
    *(entries, found.low, found.high), color=colour, alpha=0.25, lw=0
  )
  marker = 'o' if len(entries) <= _MARKED else ''
  axes.plot(entries, found.value, color=colour, lw=1.4, marker=marker, ms=3)
  axes.lines[-1].set_label(_name(values))
  known = found.value[np.isfinite(found.value)]
  if known.size and 0 < _SPAN * known.min() < known.max():
    style.plain_numbers(axes.yaxis, style.logarithmic(axes, known, 0.1))
  axes.set_xlabel('entry')
  axes.xaxis.set_major_locator(ticker.MaxNLocator(8, integer=True))
  style.note(axes, _estimate(values))
  return picture
