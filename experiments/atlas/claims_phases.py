"""What the mean-field papers say of the two phases of wide networks."""

from typing import Any

from initlab import claims, meanfield

_CLOSE = 0.03  # of the prediction, by which a simulation may be off
_CRITICAL = 1e-3  # of chi_1, within which a setting counts as critical

POOLE = 'Poole et al., 2016, figures 1 and 2'
SCHOENHOLZ = 'Schoenholz et al., 2017, figures 1 and 2'


def end(config: Any) -> meanfield.FixedPoint:
  """Where theory says that signals of this setting end."""
  setting = config.weight_variance, config.bias_variance
  return meanfield.fixed_point(config.activation, *setting)


@claims.claim('atlas 1, fixed points', POOLE)
def fixed_points(outcomes):
  """Variance and correlation end where the maps of an infinite width say.

  Holds if at every setting the interval of the last layer's variance holds the
  prediction or values within 3% of it, and that of the correlation values
  within 0.03, half of each interval being no wider than that.

  Untested if the run has not both an ordered and a chaotic setting.
  """
  _phases(outcomes)
  held, worst = [], {}
  for field in ('last_variance', 'last_correlation'):
    for each in outcomes:
      predicted = float(each.predicted[field])
      size = abs(predicted) if field == 'last_variance' else 1.0
      found = claims.mean(each.measured[field], 2 * len(outcomes))
      slack = _CLOSE * size
      held.append(claims.agrees(found, predicted, within=slack, slack=slack))
      off = abs(float(found.value) - predicted) / size
      worst[field] = max(worst.get(field, (0.0, '')), (off, each.label))
  text = '; '.join(
    f'{field.removeprefix("last_")} off by {off:.2%} at most ({label})'
    for field, (off, label) in worst.items()
  )
  return claims.finding(claims.together(held), text)


@claims.claim('atlas 1, critical line', SCHOENHOLZ)
def critical_line(outcomes):
  """Order and chaos are divided by the line on which theory has chi_1 = 1.

  Holds if the interval of the simulated chi_1 lies below 1 at every setting
  that theory calls ordered, above 1 at every chaotic one, and within 3% of 1
  where theory has chi_1 within 0.001 of 1.

  Untested if the run has not both an ordered and a chaotic setting.
  """
  _phases(outcomes)
  sides = [float(each.predicted['chi_1']) - 1 for each in outcomes]
  critical = sum(abs(side) < _CRITICAL for side in sides)
  held, told = [], []
  for each, side in zip(outcomes, sides, strict=True):
    agree = abs(side) < _CRITICAL
    chi_1 = claims.mean(each.measured['chi_1'], critical if agree else 1)
    if agree:
      held.append(claims.agrees(chi_1, 1.0, within=_CLOSE, slack=_CLOSE))
    else:
      held.append(bool(chi_1.high < 1 if side < 0 else chi_1.low > 1))
    told.append(f'{each.label}: {chi_1}, theory {1 + side:.4g}')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim('atlas 1, depth scale', SCHOENHOLZ)
def depth_scale(outcomes):
  """In the ordered phase 1 - c falls by e in every xi_c layers.

  Holds if at every ordered setting whose xi_c is below a quarter of the depth
  the interval of the rate of decay holds values within 3% of 1 / xi_c, half of
  it being no wider than that.

  Untested if no setting of the run has so short a depth scale.
  """
  short = []
  for each in outcomes:
    point = end(each.config)
    if point.chi_1 < 1 and point.xi_c < each.config.depth / 4:
      short.append((each, float(point.xi_c)))
  if not short:
    raise claims.Untested('no ordered setting with a short depth scale')
  held, told = [], []
  for each, xi in short:
    rate = claims.mean(each.measured['decay'], len(short))
    slack = _CLOSE / xi
    held.append(claims.agrees(rate, 1 / xi, within=slack, slack=slack))
    told.append(f'{each.label}: xi_c {1 / rate.value:.3f}, theory {xi:.3f}')
  return claims.finding(claims.together(held), '; '.join(told))


def _phases(outcomes):
  """Asks for settings of both phases."""
  sides = {float(each.predicted['chi_1']) > 1 for each in outcomes}
  if len(sides) < 2:
    raise claims.Untested('no ordered setting, or no chaotic one')


PHASES = (fixed_points, critical_line, depth_scale)
