"""The look of every figure: colours, markers, sizes, legends, files."""

from collections.abc import Callable, Sequence
import html
import io
import json
import pathlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import stats
from initlab.engine import files
from initlab.experiment import Outcome
from initlab.panels import Panel
from initlab.report.plots import pointer

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure
  from matplotlib.lines import Line2D


Colour = tuple[float, float, float, float]

# Okabe & Ito (2008), without yellow, which is too pale on white.
COLOURS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#56B4E9',
  '#E69F00',
  '#000000',
)
MARKERS = 'os^DvPX*'  # one more than colours: the pairs repeat after 56
DASHES = ('-', '--', ':', '-.')
INK = '#222222'
# Of surfaces, by name; the first two are those of figure 5 of Glorot & Bengio
# 2010.
SURFACES = {
  'black': INK,
  'red': '#D5001C',
  'blue': COLOURS[0],
  'green': COLOURS[2],
  'orange': COLOURS[5],
}
WIDTH = 4.8  # inches; in a column of 3.3 inches, 9 points print as 6
HEIGHT = 2.9  # of one plot
MARK = 5.5  # marker size in points
_LAYERS = 10  # most layers that all have a curve
STYLE = {
  'axes.edgecolor': '#666666',
  'axes.labelcolor': INK,
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
  'text.color': INK,
  'xtick.color': '#666666',
  'xtick.labelcolor': INK,
  'xtick.labelsize': 8,
  'ytick.color': '#666666',
  'ytick.labelcolor': INK,
  'ytick.labelsize': 8,
}


def plain_numbers(axis: Any, decades: float, thirds: float = 3.5) -> None:
  """Labels the ticks of a logarithmic axis as plain numbers.

  Args:
    axis: of matplotlib, in logarithmic scale.
    decades: the visible decades.
    thirds: number of decades from which there is one tick per decade; fewer
      decades have ticks at 1 and 3.
  """
  from matplotlib import ticker

  steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < thirds else (1,)
  axis.set_major_locator(ticker.LogLocator(subs=steps, numticks=8))
  axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f'{x:g}'))
  axis.set_minor_locator(ticker.NullLocator())


def logarithmic(
  axes: 'Axes', positive: np.ndarray, margin: float, zeros: bool = False
) -> float:
  """Makes the vertical axis logarithmic, with a margin around the values.

  It spans a factor of six at least, so that two of 1, 2, 5 and 10 are on it.

  Args:
    axes: of matplotlib; for its ticks see `plain_numbers`.
    positive: values that must be visible, at least one.
    margin: in decades; at least 6% of the span of the values.
    zeros: whether to leave a tenth of the axis free at the bottom, for zeros.

  Returns:
    The decades that the values span.
  """
  low, high = np.log10(positive.min()), np.log10(positive.max())
  margin = max(0.06 * (high - low), margin, (np.log10(6) - (high - low)) / 2)
  floor = 0.1 * (high - low + 2 * margin) if zeros else 0.0
  axes.set_yscale('log')
  axes.set_ylim(10 ** (low - margin - floor), 10 ** (high + margin))
  return float(high - low)


def blank(height: float, width: float = WIDTH) -> 'Figure':
  """A figure without plots; sizes are in inches."""
  from matplotlib.figure import Figure

  return Figure(figsize=(width, height), layout='constrained')


def empty(
  title: str, label: str, height: float = HEIGHT, width: float = WIDTH
) -> tuple['Figure', 'Axes']:
  """A figure with one plot, its title and its measured axis."""
  picture = blank(height, width)
  axes = picture.add_subplot()
  axes.set_title(title, pad=20, parse_math=False)
  axes.set_ylabel(label, parse_math=False)
  return picture, axes


def with_legend(lines: int) -> float:
  """The height of a plot with so many lines in the legend beside it."""
  return max(HEIGHT, 1.2 + 0.19 * lines)


def pen(place: int) -> dict[str, Any]:
  """Colour and hollow marker of a setting, by its place in the run."""
  return {
    'color': COLOURS[place % len(COLOURS)],
    'marker': MARKERS[place % len(MARKERS)],
    'mfc': 'none',
    'ms': MARK,
  }


def layers(count: int) -> list[tuple[int, Colour]]:
  """The layers that have a curve, evenly spaced, each with its colour."""
  from matplotlib import colormaps

  drawn = np.linspace(0, count - 1, count if count <= _LAYERS else 6)
  return [
    (layer, colormaps['viridis'](0.88 * layer / max(1, count - 1)))
    for layer in drawn.round().astype(int).tolist()
  ]


def title_rows(
  picture: 'Figure', panel: Panel, label: str, outcomes: Sequence[Outcome]
) -> None:
  """Titles a figure of one plot a setting, and notes its seeds in the first."""
  picture.supylabel(label, fontsize=9, parse_math=False)
  picture.suptitle(panel.title, x=0, ha='left', fontsize=10, parse_math=False)
  seeds = caption_seeds(panel, outcomes)
  picture.axes[0].set_title(seeds, loc='right', fontsize=8)


def note(axes: 'Axes', text: str) -> None:
  """A line of small text above the plot."""
  axes.annotate(
    text,
    (0, 1),
    (0, 4),
    xycoords='axes fraction',
    textcoords='offset points',
    fontsize=8,
  )


def theory_handle() -> 'Line2D':
  """The dashed line of theory, for a legend."""
  from matplotlib.lines import Line2D

  return Line2D([], [], color=INK, ls='--', lw=1.1, label='theory')


def legend(axes: 'Axes', handles: Sequence[Any]) -> None:
  """A legend beside the plot, or above it if there are few lines."""
  if handles:
    legend = axes.legend(
      handles=handles,
      loc='upper left',
      bbox_to_anchor=(1, 1.03),
      handlelength=1.8,
    )
    for text in legend.get_texts():
      text.set_parse_math(False)


def legend_of_layers(axes: 'Axes', title: str, **options: Any) -> None:
  """A legend of curves, one a layer, beside the plot."""
  axes.legend(
    title=title,
    title_fontsize=8,
    loc='upper left',
    bbox_to_anchor=(1, 1.15),
    labelspacing=0.2,
    **options,
  )


def legend_above(axes: 'Axes', handles: Sequence[Any]) -> None:
  """A legend in two columns above the plot."""
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


def png(figure: 'Figure') -> bytes:
  """The figure as a PNG file, 200 dots per inch, deterministic."""
  return _saved(figure, 'png', {'Software': None})


def settled(draw: Callable[[], 'Figure']) -> 'Figure':
  """A figure drawn in the lab's style, its layout settled.

  Every further drawing would move the layout a little.
  """
  import matplotlib.style

  with matplotlib.style.context(STYLE, after_reset=True):
    picture = draw()
    picture.draw_without_rendering()
    picture.set_layout_engine('none')
  return picture


def shown(picture: Any) -> Any:
  """The figure, which a notebook shows without `%matplotlib inline`."""
  picture._repr_svg_ = lambda: svg(picture)
  return picture


def svg(figure: 'Figure') -> str:
  """The figure as an SVG document, deterministic.

  Paths are cut to 1/100 point. The root has the attribute `data-series`,
  JSON of `pointer.series`, from which pages show values under the pointer.
  """
  nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
  text = _saved(figure, 'svg', nothing).decode()
  shorter = lambda path: re.sub(r'(\.\d\d)\d+', r'\1', path[0])
  text = re.sub(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)', shorter, text)
  series = html.escape(
    json.dumps(pointer.series(figure), separators=(',', ':'))
  )
  return text.replace('<svg ', f'<svg data-series="{series}" ', 1)


def write(figure: 'Figure', folder: pathlib.Path, name: str) -> str:
  """Writes a figure as an SVG and a PNG file; returns the SVG document."""
  document = svg(figure)
  files.write_text(folder / f'{name}.svg', document)
  files.write_bytes(folder / f'{name}.png', png(figure))
  return document


def _saved(figure: 'Figure', kind: str, metadata: dict[str, None]) -> bytes:
  from matplotlib import style

  file = io.BytesIO()
  with style.context(STYLE, after_reset=True):
    figure.savefig(file, format=kind, dpi=200, metadata=metadata)
  return file.getvalue()


def caption_seeds(
  panel: Panel,
  outcomes: Sequence[Outcome],
  words: Callable[[str, int, int], str] = stats.interval_words,
) -> str:
  """The kind of estimate in a panel: 'mean of 32 seeds, 95% interval'.

  Args:
    panel: the panel drawn.
    outcomes: the settings drawn.
    words: of the name of the estimate, its fewest and its most seeds.
  """
  counts = set()
  for outcome in outcomes:
    finite = np.isfinite(outcome.measured[panel.field])
    flat = finite.reshape(*finite.shape[:2], -1).any(-1).sum(0)
    counts |= set(flat[flat > 0].tolist())
  if not counts:
    return 'no finite value'
  name = stats.mean_name(outcomes[0], panel.field)
  return words(name, min(counts), max(counts))


def lost(panel: Panel, outcomes: Sequence[Outcome]) -> str:
  """How many seeds are not finite, in words; empty if none."""
  values = [each.measured[panel.field] for each in outcomes]
  count = sum(int((~np.isfinite(each)).sum()) for each in values)
  return f'{count} seeds are not finite' if count else ''
