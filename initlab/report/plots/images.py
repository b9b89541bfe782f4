"""Square arrays as grey images and as surfaces over two weights.

The fields are PerNetworkSample, `[S, side^2]`, in row-major order.
"""

from collections.abc import Sequence
import math
from typing import TYPE_CHECKING

import numpy as np

from initlab import base
from initlab.experiment import Outcome, as_title
from initlab.panels import Image, Panel, Surface
from initlab.report.plots import style

if TYPE_CHECKING:
  from matplotlib.figure import Figure


_SHOWN = 12  # images per setting
_ROW = 6  # images side by side


# Images.


def draw_images(panel: Image, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel: the first seeds of every setting, side by side."""
  rows = [math.ceil(min(_SHOWN, len(each.seeds)) / _ROW) for each in outcomes]
  tile = style.WIDTH / _ROW
  heights = [0.25 + count * tile for count in rows]
  picture = style.blank(0.35 + sum(heights))
  picture.suptitle(panel.title, x=0, ha='left', fontsize=10, parse_math=False)
  parts = picture.subfigures(
    len(outcomes), squeeze=False, height_ratios=heights
  )[:, 0]
  for part, outcome, lines in zip(parts, outcomes, rows, strict=True):
    part.suptitle(outcome.label, x=0, ha='left', fontsize=8, parse_math=False)
    grid = part.subplots(lines, _ROW, squeeze=False).ravel()
    side = _side(panel, outcome)
    for axes in grid:
      axes.set_axis_off()
    for axes, values in zip(grid, outcome.measured[panel.field], strict=False):
      axes.imshow(
        values.reshape(side, side),
        cmap='gray',
        vmin=-1,
        vmax=1,
        interpolation='nearest',
      )
  return picture


def caption_images(panel: Image, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  seeds = outcomes[0].seeds
  sides = dict.fromkeys(
    f'{side}x{side}' for side in (_side(panel, each) for each in outcomes)
  )
  return (
    f'One image per seed, seeds {_first(seeds, _SHOWN)} of the {len(seeds)} in '
    f'the run; {" and ".join(sides)} pixels, drawn at equal size. A position '
    'in the grid is a seed.'
  )


# Surfaces.


def draw_surfaces(panel: Surface, outcomes: Sequence[Outcome]) -> 'Figure':
  """Draws one panel: a surface per setting, of its first seed."""
  from matplotlib.lines import Line2D

  picture = style.blank(0.85 * style.WIDTH)
  axes = picture.add_subplot(projection='3d', computed_zorder=False)
  axes.set_title(panel.title, parse_math=False)
  # The first is drawn last, on top of the others.
  for place, outcome in reversed(list(enumerate(outcomes))):
    side = _side(panel, outcome)
    reach = getattr(outcome.config, panel.extent)
    weight = np.linspace(-reach, reach, side)
    first, second = np.meshgrid(weight, weight, indexing='ij')
    axes.plot_wireframe(
      first,
      second,
      outcome.measured[panel.field][0].reshape(side, side),
      color=_colour(place)[1],
      linewidth=0.4,
    )
  axes.set_xlabel('W1, first layer')
  axes.set_ylabel('W2, output')
  axes.set_zlabel(panel.label, parse_math=False)
  axes.view_init(elev=18, azim=-60)
  axes.legend(
    handles=[
      Line2D([], [], color=_colour(i)[1], label=each.label)
      for i, each in enumerate(outcomes)
    ],
    loc='upper left',
  )
  return picture


def caption_surfaces(panel: Surface, outcomes: Sequence[Outcome]) -> str:
  """The caption of a figure."""
  seeds = outcomes[0].seeds
  names = ', '.join(
    f'{each.label} in {_colour(place)[0]}'
    for place, each in enumerate(outcomes)
  )
  return (
    f'{as_title(panel.label)} over two weights, of seed '
    f'{seeds[0]} only, of {len(seeds)} in the run: {names}. Claims and tables '
    'cover all seeds.'
  )


def _side(panel: Panel, outcome: Outcome) -> int:
  size = outcome.measured[panel.field].shape[1]
  side = math.isqrt(size)
  if side**2 != size:
    raise base.UserError(f'{panel.field} has {size} values, not a square')
  return side


def _first(seeds: np.ndarray, count: int) -> str:
  shown = seeds[:count]
  return f'{shown[0]} to {shown[-1]}' if len(shown) > 1 else str(shown[0])


def _colour(place: int) -> tuple[str, str]:
  """The name and the colour of the surface of a setting."""
  surfaces = tuple(style.SURFACES.items())
  return surfaces[place % len(surfaces)]
