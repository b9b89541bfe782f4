"""Draws figures.

A figure is drawn from a panel (what to draw) and outcomes (one per setting).
Settings keep their colour and marker in every figure of a run, except with a
knob on the axis. Estimates are `stats.average` over seeds, the numbers of the
tables, unless the caption says otherwise.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab import panels
from initlab.experiment import Outcome, in_words, mean_in_words
from initlab.report import tuning
from initlab.report.plots import (
  curves,
  depth,
  histogram,
  images,
  maps,
  seeds,
  style,
  sweep,
)

if TYPE_CHECKING:
  from matplotlib.figure import Figure


class _Kind(NamedTuple):
  """The functions that draw and caption a kind of panel."""

  draw: Callable[[Any, Sequence[Outcome]], 'Figure']
  caption: Callable[[Any, Sequence[Outcome]], str]


_KINDS: dict[type[panels.Panel], _Kind] = {
  panels.Depth: _Kind(depth.draw, depth.caption),
  panels.Histogram: _Kind(histogram.draw, histogram.caption),
  panels.Curves: _Kind(curves.draw, curves.caption),
  panels.Sweep: _Kind(sweep.draw, sweep.caption),
  panels.Map: _Kind(maps.draw, maps.caption),
  panels.Seeds: _Kind(seeds.draw_seeds, seeds.caption_seeds),
  panels.Best: _Kind(seeds.draw_best, seeds.caption_best),
  panels.Image: _Kind(images.draw_images, images.caption_images),
  panels.Surface: _Kind(images.draw_surfaces, images.caption_surfaces),
}


def figure(panel: panels.Panel, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel.

  Args:
    panel: what to draw.
    outcomes: the settings, at least one; their `L` and `S` may differ.

  Returns:
    A figure outside pyplot's global state.

  Raises:
    KeyError: the panel's kind or field is unknown.
  """
  draw = _KINDS[type(panel)].draw
  return style.settled(lambda: draw(panel, _drawn(panel, outcomes)))


def caption(panel: panels.Panel, outcomes: Sequence[Outcome]) -> str:
  """The caption of `figure(panel, outcomes)`.

  Args:
    panel: the panel drawn.
    outcomes: the settings drawn.

  Returns:
    Plain text.
  """
  drawn = _drawn(panel, outcomes)
  text = _KINDS[type(panel)].caption(panel, drawn)
  candidates = _candidates(panel, outcomes)
  if len(drawn) < len(candidates):
    text += (
      f' {len(drawn)} of {len(candidates)} settings are drawn, evenly spaced; '
      'the tables have all.'
    )
  if not panel.tuned:
    return text
  return (
    f'{text} Every setting is drawn at the {in_words(panel.tuned[0])} with the '
    f'lowest {mean_in_words(panel.tuned[1])}; unlike in the tables, intervals '
    'do not include the choice.'
  )


def _drawn(
  panel: panels.Panel, outcomes: Sequence[Outcome]
) -> Sequence[Outcome]:
  """The candidates, or some of them, with the first and the last."""
  candidates = _candidates(panel, outcomes)
  if len(candidates) <= panel.most:
    return candidates
  places = np.linspace(0, len(candidates) - 1, int(panel.most)).round()
  return [candidates[place] for place in places.astype(int)]


def _candidates(
  panel: panels.Panel, outcomes: Sequence[Outcome]
) -> Sequence[Outcome]:
  """The settings, or the chosen ones of a tuned panel."""
  return tuning.chosen(outcomes, *panel.tuned) if panel.tuned else outcomes
