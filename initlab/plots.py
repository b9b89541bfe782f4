"""Rows to figures. The only module that imports a plotting library.

A picture is made of a `base.Panel` (what to draw) and of outcomes (one a
setting). Settings keep their colour and marker in every picture of a run, but
for those of a knob on the axis. Estimates are `stats.average` over seeds, the
numbers of the tables, unless the picture says what else they are.
"""

from collections.abc import Sequence
import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from initlab import base, distributions, pictures, stats, trajectories, tuning

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Okabe & Ito (2008), without the yellow that white paper swallows.
_COLOURS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#56B4E9',
  '#E69F00',
  '#000000',
)
_MARKERS = 'os^DvPX*'  # one more than colours: the pairs repeat after 56
_INK = '#222222'
_WIDTH = 4.8  # inches; at a column of 3.3 inches, 9 points print as 6
_POINTS = 25  # layers up to which every estimate is a point with an error bar
_CURVES = 10  # layers up to which a histogram draws them all
_MARK = 5.5  # points across
_COMPARABLE = 4.0  # factor of reach up to which histograms share an axis
_STYLE = {
  'axes.edgecolor': '#666666',
  'axes.labelcolor': _INK,
  'axes.linewidth': 0.8,
  'axes.spines.right': False,
  'axes.spines.top': False,
  'axes.titlelocation': 'left',
  'axes.titlesize': 10,
  'font.family': 'DejaVu Sans',
  'font.size': 9,
  'legend.fontsize': 8,
  'legend.frameon': False,
  'svg.fonttype': 'path',
  'svg.hashsalt': 'initlab',
  'text.color': _INK,
  'xtick.color': '#666666',
  'xtick.labelcolor': _INK,
  'xtick.labelsize': 8,
  'ytick.color': '#666666',
  'ytick.labelcolor': _INK,
  'ytick.labelsize': 8,
}


def figure(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> 'Figure':
  """Draws one panel.

  Args:
    panel: what to draw. 'depth' wants `[S, L]` values, 'histogram' `[S, L, V]`,
      'curve' `[S, T]` or `[S, T, L]`, 'image' and 'surface' `[S, side^2]`, all
      others `[S]`; `log` makes the axis of the measure logarithmic, of a
      histogram the density.
    outcomes: the settings, at least one; their `L` and `S` may differ.

  Returns:
    A figure that no global state of the plotting library knows of.

  Raises:
    KeyError: the panel's kind or field is unknown.
  """
  from matplotlib import style

  outcomes = _drawn(panel, outcomes)
  kinds = {'depth': _depth, 'histogram': _histogram, 'curve': _trajectory}
  kinds |= dict.fromkeys(distributions.KINDS, _distribution)
  kinds |= dict.fromkeys(pictures.KINDS, _picture)
  draw = kinds[panel.kind]
  with style.context(_STYLE, after_reset=True):
    picture = draw(panel, outcomes)
    # The layout is settled once: every further drawing would move it a little.
    picture.draw_without_rendering()
    picture.set_layout_engine('none')
  return picture


def caption(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  """What the marks of `figure(panel, outcomes)` mean, in one or two sentences.

  Args:
    panel: the panel drawn.
    outcomes: the settings drawn.

  Returns:
    Plain text.
  """
  drawn = _drawn(panel, outcomes)
  if not panel.tuned:
    return _caption(panel, drawn)
  return (
    f'{_caption(panel, drawn)} Every setting is drawn at the '
    f'{base.in_words(panel.tuned[0])} with the least mean '
    f'{base.in_words(panel.tuned[1])}; intervals are those of that one and do '
    'not include the choice, as the tables do.'
  )


def _caption(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  if panel.kind in distributions.KINDS:
    return distributions.caption(panel, outcomes)
  if panel.kind in pictures.KINDS:
    return pictures.caption(panel, outcomes)
  seeds = _seeds(panel, outcomes)
  if panel.kind == 'histogram':
    samples = [each.measured[panel.field] for each in outcomes]
    axes = 'all on one' if _comparable(samples) else 'each on its own'
    return (
      f'Distribution of {panel.label} in each hidden layer, one row a setting, '
      f'{axes} horizontal axis. Curve and shade: {seeds}. Where the curves lie '
      'on each other, the layers receive the same signal.'
    )
  if panel.kind == 'curve':
    return (
      f'{panel.title}: {panel.label} against the {panel.over}s, {seeds}. '
      f'{trajectories.caption(panel, outcomes)}'
    )
  theory = any(panel.field in outcome.predicted for outcome in outcomes)
  return (
    f'{panel.title}: {panel.label} against depth, from the input at the left '
    f'to the output. Marks: {seeds}.'
    + ' Dashed line: what theory predicts.'
    * theory
  )


def _drawn(
  panel: base.Panel, outcomes: Sequence[base.Outcome]
) -> Sequence[base.Outcome]:
  """The settings, or those that are chosen."""
  return tuning.chosen(outcomes, *panel.tuned) if panel.tuned else outcomes


def png(figure: 'Figure') -> bytes:
  """The figure as a PNG file, 200 dots an inch, the same bits at every call."""
  return _saved(figure, 'png', {'Software': None})


def svg(figure: 'Figure') -> str:
  """The figure as an SVG document, the same characters at every call."""
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  return _saved(figure, 'svg', nothing).decode()


def _saved(figure: 'Figure', kind: str, metadata: dict[str, None]) -> bytes:
  from matplotlib import style

  file = io.BytesIO()
  with style.context(_STYLE, after_reset=True):
    figure.savefig(file, format=kind, dpi=200, metadata=metadata)
  return file.getvalue()


class _Curve(NamedTuple):
  """One setting of a depth picture; arrays `[L]`, NaN where unknown."""

  label: str
  colour: str
  marker: str
  layer: np.ndarray
  estimate: stats.Estimate
  geometric: bool
  theory: np.ndarray


def _depth(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> 'Figure':
  from matplotlib.figure import Figure

  curves = [_curve(panel.field, i, each) for i, each in enumerate(outcomes)]
  height = max(2.9, 0.9 + 0.19 * len(curves))
  picture = Figure(figsize=(_WIDTH, height), layout='constrained')
  axes = picture.add_subplot()
  axes.set_title(panel.title, pad=20, parse_math=False)
  axes.set_ylabel(panel.label, parse_math=False)
  axes.set_xlabel('layer (the last is the output)')
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
  _draw_legend(axes, curves, deep, _seeds(panel, outcomes))
  return picture


def _curve(field: str, place: int, outcome: base.Outcome) -> _Curve:
  estimate = stats.average(outcome, field)
  layers = len(estimate.value)
  return _Curve(
    outcome.label,
    _COLOURS[place % len(_COLOURS)],
    _MARKERS[place % len(_MARKERS)],
    np.arange(1, layers + 1),
    estimate,
    field in outcome.geometric,
    outcome.predicted.get(field, np.full(layers, np.nan)),
  )


def _scale_depth(axes: 'Axes', curves: Sequence[_Curve]) -> int:
  """Sets the axis of layers; returns how many there are."""
  from matplotlib import ticker

  depth = max(len(curve.layer) for curve in curves)
  margin = 0.3 if depth <= 12 else 0.03 * depth
  axes.set_xlim(1 - margin, depth + margin)
  round_numbers = ticker.MaxNLocator(5, integer=True).tick_values(1, depth)
  few = [1, *(tick for tick in round_numbers if 1 < tick <= depth)]
  axes.set_xticks(list(range(1, depth + 1)) if depth <= 12 else few)
  return depth


def _scale_measure(axes: 'Axes', curves: Sequence[_Curve], log: bool) -> None:
  """Sets the measured axis: from zero, or over a factor of at least six."""
  from matplotlib import ticker

  drawn = np.concatenate(
    [
      part
      for curve in curves
      for part in (curve.estimate.value, curve.estimate.high, curve.theory)
    ]
  )
  # The low end of an arithmetic mean may be near 0, decades below the mean.
  lows = [curve.estimate.low for curve in curves if curve.geometric]
  drawn = np.concatenate([drawn, *lows])
  drawn = drawn[np.isfinite(drawn)]
  positive = drawn[drawn > 0]
  if log and positive.size:
    low, high = np.log10(positive.min()), np.log10(positive.max())
    margin = max(0.06 * (high - low), 0.5 * (np.log10(6) - (high - low)))
    floor = 0.1 * (high - low + 2 * margin) if (drawn == 0).any() else 0.0
    axes.set_yscale('log')
    axes.set_ylim(10 ** (low - margin - floor), 10 ** (high + margin))
    span = high - low
    steps = (1, 2, 5) if span < 2 else (1, 3) if span < 4 else (1,)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=steps, numticks=8))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f'{y:g}'))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
  else:
    low, high = np.min(drawn, initial=0), np.max(drawn, initial=0)
    high = high if high > low else 1.0
    axes.set_ylim(low - 0.04 * (high - low), high + 0.06 * (high - low))


def _draw_points(axes: 'Axes', curve: _Curve) -> None:
  """Hollow markers, so that settings and intervals show through each other."""
  value, low, high = curve.estimate[:3]
  axes.errorbar(
    curve.layer,
    value,
    np.stack([value - low, high - value]),
    color=curve.colour,
    fmt=curve.marker,
    mfc='none',
    ms=_MARK,
    capsize=2.5,
    lw=1.2,
  )


def _draw_band(axes: 'Axes', curve: _Curve, place: int) -> None:
  """A pale line and its interval, marked in places that differ by setting."""
  estimate = curve.estimate
  axes.fill_between(
    curve.layer,
    estimate.low,
    estimate.high,
    color=curve.colour,
    alpha=0.25,
    lw=0,
  )
  axes.plot(
    curve.layer,
    estimate.value,
    color=curve.colour,
    alpha=0.5,
    lw=2.5,
    marker=curve.marker,
    ms=_MARK,
    markevery=(0.04 + 0.03 * (place % 7), 0.25),
  )


def _draw_theory(axes: 'Axes', curve: _Curve) -> None:
  """A dashed line; a short dash where no neighbouring layer has a theory."""
  log = axes.get_yscale() == 'log'
  known = np.isfinite(curve.theory) & ((curve.theory > 0) | (not log))
  around = np.pad(known, 1)
  alone = known & ~around[:-2] & ~around[2:]
  line = np.where(known, curve.theory, np.nan)
  axes.plot(curve.layer, line, '--', color=curve.colour, lw=1.1)
  axes.plot(curve.layer[alone], line[alone], '_', color=curve.colour, ms=12)


def _draw_zeros(axes: 'Axes', curve: _Curve) -> None:
  """On a log axis, puts estimates of exactly zero on its lower edge."""
  zero = curve.layer[curve.estimate.value == 0]
  if axes.get_yscale() == 'log' and zero.size:
    axes.plot(
      zero,
      np.zeros(zero.size),
      curve.marker,
      color=curve.colour,
      mfc='none',
      ms=_MARK,
      transform=axes.get_xaxis_transform(),
      clip_on=False,
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
  """Names every curve beside its right end, in rows at least `gap` apart."""
  heights = [_heights(axes, curve) for curve in curves]
  for curve, place in zip(curves, _spread(heights, gap), strict=True):
    silent = not np.isfinite(curve.estimate.value).any()
    axes.plot(
      1.03,
      place,
      curve.marker,
      color=curve.colour,
      mfc='none',
      ms=_MARK,
      transform=axes.transAxes,
      clip_on=False,
    )
    axes.text(
      1.06,
      place,
      curve.label + ' (no finite value)' * silent,
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
  """Places `[N]` near the last heights, at least `gap` apart.

  Curves that end within one gap of each other are ordered by their mean height.
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
  """One row above the axes: what a mark is, and what a dashed line is."""
  from matplotlib.lines import Line2D

  if deep:
    handles = [Line2D([], [], color=_INK, lw=2.5, alpha=0.5, label=seeds)]
  else:
    ring = Line2D([], [], color=_INK, lw=0, marker='o', mfc='none', ms=_MARK)
    ring.set_label(seeds)
    handles = [ring]
  if any(np.isfinite(curve.theory).any() for curve in curves):
    handles.append(Line2D([], [], color=_INK, ls='--', lw=1.1, label='theory'))
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


def _seeds(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> str:
  """What an estimate of this panel is: 'mean of 32 seeds, 95% interval'."""
  counts = set()
  for outcome in outcomes:
    finite = np.isfinite(outcome.measured[panel.field])
    flat = finite.reshape(*finite.shape[:2], -1).any(-1).sum(0)
    counts |= set(flat[flat > 0].tolist())
  if not counts:
    return 'no finite value'
  name = stats.mean_name(outcomes[0], panel.field)
  return stats.interval_words(name, min(counts), max(counts))


def _histogram(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> 'Figure':
  from matplotlib import ticker
  from matplotlib.figure import Figure

  rows = len(outcomes)
  picture = Figure(figsize=(_WIDTH, 0.8 + 1.2 * rows), layout='constrained')
  samples = [np.asarray(each.measured[panel.field], float) for each in outcomes]
  together = _comparable(samples)
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
  seeds = _seeds(panel, outcomes)
  grid[0].set_title(seeds, loc='right', fontsize=8)
  for axes in grid[:1] if _same_depth(panel, outcomes) else grid:
    axes.legend(
      title='hidden layer',
      title_fontsize=8,
      loc='upper left',
      bbox_to_anchor=(1, 1.15),
      labelspacing=0.2,
    )
  picture.supylabel('density', fontsize=9)
  picture.suptitle(panel.title, x=0, ha='left', fontsize=10, parse_math=False)
  return picture


def _comparable(samples: Sequence[np.ndarray]) -> bool:
  """Whether all settings can be seen on the axis of the widest."""
  reach = [
    np.quantile(np.abs(hidden[np.isfinite(hidden)]), 0.999)
    for hidden in (each[:, : max(1, each.shape[1] - 1)] for each in samples)
    if np.isfinite(hidden).any()
  ]
  return not reach or max(reach) < _COMPARABLE * min(reach)


def _trajectory(
  panel: base.Panel, outcomes: Sequence[base.Outcome]
) -> 'Figure':
  picture = trajectories.draw(panel, outcomes, _COLOURS, _WIDTH)
  axes, seeds = picture.axes[0], _seeds(panel, outcomes)
  if outcomes[0].measured[panel.field].ndim > 2:
    axes.set_title(seeds, loc='right', fontsize=8)
    return picture
  axes.annotate(
    seeds,
    (0, 1),
    (0, 4),
    xycoords='axes fraction',
    textcoords='offset points',
    fontsize=8,
  )
  return picture


def _distribution(
  panel: base.Panel, outcomes: Sequence[base.Outcome]
) -> 'Figure':
  pens = distributions.Pens(_COLOURS, _MARKERS, _WIDTH)
  return distributions.draw(panel, outcomes, pens)


def _picture(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> 'Figure':
  return pictures.draw(panel, outcomes, _WIDTH)


def _same_depth(panel: base.Panel, outcomes: Sequence[base.Outcome]) -> bool:
  return len({each.measured[panel.field].shape[1] for each in outcomes}) == 1


def _draw_densities(axes: 'Axes', sample: np.ndarray) -> list[float]:
  """One curve a hidden layer of `[S, L, V]`; returns how high they peak."""
  from matplotlib import colormaps

  hidden = max(1, sample.shape[1] - 1)
  count = hidden if hidden <= _CURVES else 6
  peaks = []
  for layer in np.linspace(0, hidden - 1, count).round().astype(int):
    colour = colormaps['viridis'](0.88 * layer / max(1, hidden - 1))
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
  counts = np.stack([np.histogram(seed, edges)[0] for seed in values])
  sizes = np.isfinite(values).sum(-1, keepdims=True)
  return counts / (np.where(sizes > 0, sizes, np.nan) * np.diff(edges))
