"""The distribution of a per-layer sample, one plot per setting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initlab import stats
from initlab.experiment import Outcome
from initlab.panels import Histogram
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_COMPARABLE = 4.0  # largest ratio of ranges with a shared axis


def draw(panel: Histogram, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws the distribution of a sample, one plot per setting."""
  from matplotlib import ticker

  rows = len(outcomes)
  picture = style.blank(0.8 + 1.2 * rows)
  samples = [np.asarray(each.measured[panel.field], float) for each in outcomes]
  together = comparable(samples)
  grid = picture.subplots(
    rows, sharex=together, sharey=panel.log, squeeze=False
  )[:, 0]
  peaks = []
  for axes, outcome, sample in zip(grid, outcomes, samples, strict=True):
    peaks += _draw_densities(axes, sample)
    axes.set_title(outcome.label, fontsize=8, parse_math=False)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    if not panel.log:
      axes.set_ylim(bottom=0)
      axes.yaxis.set_major_locator(ticker.MaxNLocator(3))
  if panel.log and peaks:
    grid[0].set_yscale('log')
    grid[0].set_ylim(min(peaks) / 50, max(peaks) * 2)
    grid[0].yaxis.set_major_locator(ticker.LogLocator(numticks=5))
    grid[0].yaxis.set_minor_locator(ticker.NullLocator())
  grid[-1].set_xlabel(panel.label, parse_math=False)
  for axes in grid[:1] if _same_depth(panel, outcomes) else grid:
    style.legend_of_layers(axes, 'hidden layer')
  style.title_rows(picture, panel, 'density', outcomes)
  return picture


def caption(panel: Histogram, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  samples = [each.measured[panel.field] for each in outcomes]
  axes = 'all on one' if comparable(samples) else 'each on its own'
  return (
    f'Distribution of {panel.label} in each hidden layer, one row per setting, '
    f'{axes} horizontal axis. Curve and shade: '
    f'{style.caption_seeds(panel, outcomes)}. Layers whose curves coincide '
    'receive the same signal.'
  )


def comparable(samples: Sequence[np.ndarray]) -> bool:
  """Whether all settings are readable on the axis of the widest."""
  hidden = (each[:, : max(1, each.shape[1] - 1)] for each in samples)
  finite = (values[np.isfinite(values)] for values in hidden)
  reach = [np.quantile(np.abs(each), 0.999) for each in finite if each.size]
  return not reach or max(reach) < _COMPARABLE * min(reach)


def _same_depth(panel: Histogram, outcomes: Sequence[Outcome]) -> bool:
  return len({each.measured[panel.field].shape[1] for each in outcomes}) == 1


def _draw_densities(axes: 'Axes', sample: np.ndarray) -> list[float]:
  """One curve per hidden layer of `[S, L, V]`; returns their peaks."""
  peaks = []
  for layer, colour in style.layers(max(1, sample.shape[1] - 1)):
    pen = {'color': colour, 'lw': 1.2, 'label': str(layer + 1)}
    values = sample[:, layer]
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, (0.001, 0.999)) if finite.size else (0, 0)
    if low == high:
      axes.axvline(low if finite.size else np.nan, **pen)
      continue
    bins = np.clip(round(1.3 * finite.size ** (1 / 3)), 8, 60)
    edges = np.linspace(low, high, bins + 1)
    density = stats.mean(_density(values, edges))
    middle = (edges[1:] + edges[:-1]) / 2
    peaks.append(float(density.value.max()))
    axes.plot(middle, density.value, **pen)
    axes.fill_between(
      middle, density.low, density.high, color=colour, alpha=0.3, lw=0
    )
  return peaks


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
  """Normalised histograms `[S, bins]` of `[S, V]`, NaN for a seed of NaN."""
  bins = len(edges) - 1
  places = np.searchsorted(edges, values, side='right') - 1
  places[values == edges[-1]] = bins - 1
  inside = (places >= 0) & (places < bins)
  seeds = np.nonzero(inside)[0]
  counts = np.bincount(
    seeds * bins + places[inside], minlength=len(values) * bins
  ).reshape(-1, bins)
  sizes = np.isfinite(values).sum(-1, keepdims=True)
  return counts / (np.where(sizes > 0, sizes, np.nan) * np.diff(edges))
