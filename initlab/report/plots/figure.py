"""Rows to figures.

A picture is made of a `Panel` (what to draw) and of outcomes (one a
setting). Settings keep their colour and marker in every picture of a run, but
for those of a knob on the axis. Estimates are `stats.average` over seeds, the
numbers of the tables, unless the picture says what else they are.
"""

from collections.abc import Sequence
import functools
from typing import TYPE_CHECKING

from initlab.experiment import Outcome, Panel, in_words
from initlab.report import tuning
from initlab.report.plots import (
  curves,
  depth,
  histogram,
  images,
  seeds as seed_plots,
  style,
  sweep,
)

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_PENS = style.Pens(style.COLOURS, style.MARKERS, style.WIDTH)


def figure(panel: Panel, outcomes: Sequence[Outcome]) -> 'Figure':
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
  import matplotlib.style

  outcomes = _drawn(panel, outcomes)
  kinds = {
    'depth': depth.draw,
    'histogram': histogram.draw,
    'curve': _trajectory,
  }
  kinds['sweep'] = functools.partial(sweep.draw, pens=_PENS)
  draw_seeds = functools.partial(seed_plots.draw, pens=_PENS)
  kinds |= dict.fromkeys(seed_plots.KINDS, draw_seeds)
  kinds |= dict.fromkeys(images.KINDS, _picture)
  draw = kinds[panel.kind]
  with matplotlib.style.context(style.STYLE, after_reset=True):
    picture = draw(panel, outcomes)
    # The layout is settled once: every further drawing would move it a little.
    picture.draw_without_rendering()
    picture.set_layout_engine('none')
  return picture


def caption(panel: Panel, outcomes: Sequence[Outcome]) -> str:
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
    f'{in_words(panel.tuned[0])} with the least mean '
    f'{in_words(panel.tuned[1])}; intervals are those of that one and do '
    'not include the choice, as the tables do.'
  )


def _caption(panel: Panel, outcomes: Sequence[Outcome]) -> str:
  if panel.kind == 'sweep':
    return sweep.caption(panel, outcomes)
  if panel.kind in seed_plots.KINDS:
    return seed_plots.caption(panel, outcomes)
  if panel.kind in images.KINDS:
    return images.caption(panel, outcomes)
  seeds = style.caption_seeds(panel, outcomes)
  if panel.kind == 'histogram':
    samples = [each.measured[panel.field] for each in outcomes]
    axes = 'all on one' if histogram.comparable(samples) else 'each on its own'
    return (
      f'Distribution of {panel.label} in each hidden layer, one row a setting, '
      f'{axes} horizontal axis. Curve and shade: {seeds}. Where the curves lie '
      'on each other, the layers receive the same signal.'
    )
  if panel.kind == 'curve':
    return (
      f'{panel.title}: {panel.label} against the {panel.over}s, {seeds}. '
      f'{curves.caption(panel, outcomes)}'
    )
  theory = any(panel.field in outcome.predicted for outcome in outcomes)
  text = (
    f'{panel.title}: {panel.label} against depth, from the input at the left '
    f'to the output. Marks: {seeds}.'
  )
  return f'{text} Dashed line: what theory predicts.' if theory else text


def _drawn(panel: Panel, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
  """The settings, or those that are chosen."""
  return tuning.chosen(outcomes, *panel.tuned) if panel.tuned else outcomes


def _trajectory(panel: Panel, outcomes: Sequence[Outcome]) -> 'Figure':
  picture = curves.draw(panel, outcomes, style.COLOURS, style.WIDTH)
  axes, seeds = picture.axes[0], style.caption_seeds(panel, outcomes)
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


def _picture(panel: Panel, outcomes: Sequence[Outcome]) -> 'Figure':
  return images.draw(panel, outcomes, style.WIDTH)
