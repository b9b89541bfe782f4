"""What the mean-field papers say of how deep a network can be and learn."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab import claims, meanfield
from initlab.experiment import Outcome

from . import claims_phases

MULTIPLES = (4.0, 8.0)  # of xi_c, between which training is to end
_LEARNED = 0.5  # the accuracy from which a network counts as trained

SCHOENHOLZ = 'Schoenholz et al., 2017, section 5 and figure 5'


class Column(NamedTuple):
  """Networks that differ in depth alone.

  settings: by rising depth.
  scale: xi_c.
  layers: the depth of the deepest, in units of xi_c.
  """

  settings: Sequence[Outcome]
  scale: float
  layers: float


def depth_scale(config: Any) -> float:
  """xi_c of a setting, infinite at criticality."""
  return float(claims_phases.end(config).xi_c)


def trained_depth(settings: Sequence[Outcome]) -> np.ndarray:
  """The depth at which the accuracy falls to 1/2, of each seed, `[S]`.

  It is interpolated between two depths of the map, the accuracy being taken to
  be linear in log depth. It is the least or the largest depth of the map if
  none or all of it is trained. A seed that diverged has not learned.

  Args:
    settings: by rising depth.
  """
  depths = np.log([each.config.depth for each in settings])
  accuracy = np.stack([each.measured['accuracy'] for each in settings], axis=1)
  ends = []
  for seed in np.nan_to_num(accuracy):
    below = np.flatnonzero(seed < _LEARNED)
    if not below.size:
      ends.append(depths[-1])
      continue
    span = slice(max(below[0] - 1, 0), below[0] + 1)
    ends.append(np.interp(-_LEARNED, -seed[span], depths[span]))
  return np.exp(ends)


def _columns(outcomes: Sequence[Outcome]) -> dict[float, Column]:
  """The settings of each weight variance."""
  found = {}
  for value in sorted({each.config.weight_variance for each in outcomes}):
    settings = claims.every(outcomes, weight_variance=value)
    settings.sort(key=lambda each: each.config.depth)
    deepest = settings[-1].config
    scale = depth_scale(deepest)
    found[value] = Column(settings, scale, deepest.depth / scale)
  return found


@claims.claim('atlas 2, trained depth', SCHOENHOLZ)
def trained(outcomes):
  """Off the critical line training ends at a depth of about 6 xi_c.

  Holds if at every weight variance of which the deepest network has 8 xi_c
  layers or more, the interval of the depth at which the training accuracy falls
  to 1/2 holds values from 4 to 8 xi_c, and half of it is at most 1 xi_c.

  Untested if the run has no such weight variance in one of the two phases.
  """
  low, high = MULTIPLES
  ends = {
    value: trained_depth(column.settings) / column.scale
    for value, column in _columns(outcomes).items()
    if column.layers >= high
  }
  config = outcomes[0].config
  line = meanfield.critical_line(config.activation, config.bias_variance)
  if len({value > line.weight_variance for value in ends}) < 2:
    raise claims.Untested('networks are too shallow in one of the phases')
  held, told = [], []
  for value, each in ends.items():
    found = claims.mean(each, len(ends))
    middle, slack = (low + high) / 2, (high - low) / 2
    held.append(claims.agrees(found, middle, within=1.0, slack=slack))
    told.append(f'{value:g}: {found} xi_c')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim('atlas 2, criticality', SCHOENHOLZ)
def criticality(outcomes):
  """Near the critical line the deepest networks learn.

  Holds if at every weight variance of which the deepest network has at most 4
  xi_c layers the interval of its training accuracy lies above 1/2.

  Untested if no weight variance is so near to the critical one.
  """
  near = {
    value: column.settings[-1].measured['accuracy']
    for value, column in _columns(outcomes).items()
    if column.layers <= MULTIPLES[0]
  }
  if not near:
    raise claims.Untested('no weight variance near the critical one')
  # A seed that diverged has not learned.
  found = {k: claims.mean(np.nan_to_num(each)) for k, each in near.items()}
  told = [f'{value:g}: {share:%}' for value, share in found.items()]
  holds = all(share.low > _LEARNED for share in found.values())
  return claims.finding(holds, '; '.join(told))


DEPTHS = (trained, criticality)
