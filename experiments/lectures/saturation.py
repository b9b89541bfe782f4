"""What weights of a fixed size do to units of many inputs.

Question:
  Uniform in +-0.1 and normal of deviation 0.1 were the norm until 2010. In
  which part of the nonlinearity do the units lie, by the number of inputs?
Paper:
  365 Data Science, Deep Learning with TensorFlow 2, "Initialization" (both
  kinds are problematic; the sigmoid is linear near 0 and flat at the extremes).
Run:
  python -m experiments.lectures.saturation
Takes:
  20 seconds on two CPU cores (32 seeds, two laws, 6 numbers of inputs).
Expect:
  The variance of the linear combinations is n/300 and n/100. Below 50 inputs
  it shrinks in every layer, and most units are where the sigmoid is a straight
  line; above 1000 tanh has lost over half of its slope, and the sigmoid next.
"""

from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import activations, base, claims, initializers, keys, launch, stats
from initlab.experiment import (
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  in_words,
  knob,
  of_module,
)

# The zones of the sigmoid: its error as 1/2 + s/4, and its slope, at the edges.
LINEAR, LINEAR_ERROR = 0.8, 0.0101
FLAT, FLAT_SLOPE = 4.0, 0.01767

_SLOPES = 'sigmoid_slope', 'tanh_slope'
_LAWS = {'uniform': initializers.uniform, 'normal': initializers.normal}


@dataclasses.dataclass(frozen=True)
class Config:
  """One layer of units, and examples of which every input is -1 or 1."""

  init: str = knob(
    'uniform',
    'the law of the weights: uniform in +-scale, or normal of that deviation',
    _LAWS,
  )
  scale: float = knob(0.1, 'of the weights')
  inputs: int = knob(100, 'of every unit')
  bias: float = knob(0.0, 'of every unit')
  units: int = knob(100, 'that are drawn')
  examples: int = knob(100, 'that they are shown')

  def __post_init__(self):
    if self.scale <= 0:
      raise base.UserError(f'--scale={self.scale}: above 0')
    for name in ('inputs', 'units', 'examples'):
      if not 1 <= getattr(self, name) <= 2**20:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from 1 to {2**20}')

  def variance(self) -> float:
    """Of a linear combination: n Var[w], the inputs being of square 1."""
    law = initializers.SCHEMES[self.init].law
    knob = {'uniform': 'scale', 'normal': 'std'}[self.init]
    return (
      self.inputs * law(self.inputs, self.units, **{knob: self.scale}).variance
    )


SMOKE = Config(inputs=3, units=4, examples=5)


class Result(NamedTuple):
  """Of the linear combinations s of all units and examples.

  variance: the mean square of s less the bias.
  linear: share of |s| <= 0.8.
  flat: share of |s| > 4.
  sigmoid_slope, tanh_slope: means of the slopes at s, of at most 1/4 and 1.
  linear_error: the largest of |sigmoid(s) - (1/2 + s/4)| where |s| <= 0.8.
  flat_slope: the largest slope of the sigmoid where |s| > 4.
  """

  variance: PerNetwork
  linear: PerNetwork
  flat: PerNetwork
  sigmoid_slope: PerNetwork
  tanh_slope: PerNetwork
  linear_error: PerNetwork
  flat_slope: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """Draws one layer, and examples of its own."""
  del data
  x = jax.random.rademacher(
    keys.stream(key, 'data'), (config.examples, config.inputs), jnp.float32
  )
  draw = _LAWS[config.init](config.scale)
  w = draw(keys.stream(key, 'init'), (config.inputs, config.units), jnp.float32)
  sum_ = x @ w
  s = sum_ + config.bias
  linear, flat = jnp.abs(s) <= LINEAR, jnp.abs(s) > FLAT
  share = lambda zone: jnp.mean(zone.astype(s.dtype))
  largest = lambda values, zone: jnp.max(jnp.where(zone, values, 0.0))
  sigmoid = jax.nn.sigmoid(s)
  slope = activations.derivative(jax.nn.sigmoid)(s)
  return Result(
    variance=jnp.mean(sum_**2),
    linear=share(linear),
    flat=share(flat),
    sigmoid_slope=jnp.mean(slope),
    tanh_slope=jnp.mean(activations.derivative(jnp.tanh)(s)),
    linear_error=largest(jnp.abs(sigmoid - (0.5 + 0.25 * s)), linear),
    flat_slope=largest(slope, flat),
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Of s ~ N(bias, n Var[w]), which is exact for normal weights."""
  from scipy import special

  del data
  variance = config.variance()
  below = lambda s: special.ndtr((s - config.bias) / np.sqrt(variance))
  nodes, weights = activations.gaussian_nodes(np.array(variance), config.bias)
  mean = lambda f: np.array(weights @ activations.evaluate(f, nodes)[1])
  return {
    'variance': np.array(variance),
    'linear': np.array(below(LINEAR) - below(-LINEAR)),
    'flat': np.array(below(-FLAT) + 1 - below(FLAT)),
    'sigmoid_slope': mean(jax.nn.sigmoid),
    'tanh_slope': mean(jnp.tanh),
  }


def verdict(outcome: Outcome) -> list[str]:
  """Where the units lie."""
  told = lambda name, unit='': claims.told(stats.average(outcome, name), unit)
  return [
    f'variance of the linear combinations {told("variance")}, theory '
    f'{outcome.predicted["variance"]:.4g}',
    f'{told("linear", "%")} of the units are where the sigmoid is a straight '
    f'line, {told("flat", "%")} where it is flat; its slope is '
    f'{told("sigmoid_slope")} on average, that of tanh '
    f'{told("tanh_slope")}',
  ]


def _laws(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
  """The settings of each law at scale 0.1 without biases, by their inputs.

  Raises:
    Untested: a law is missing, or not seen from below 50 to above 1000 inputs.
  """
  found = [
    claims.every(outcomes, init=init, scale=0.1, bias=0.0) for init in _LAWS
  ]
  for settings in found:
    settings.sort(key=lambda each: each.config.inputs)
    if settings[0].config.inputs > 50 or settings[-1].config.inputs < 1000:
      raise claims.Untested('inputs are not from 50 or fewer to 1000 or more')
  return found


def not_gaussian(config: Config, field: str) -> float:
  """How far theory is off, its sums being Gaussian and those of a run not.

  By rounding; and shares and slopes of sums of uniform weights by the first
  term by which they are not Gaussian: of an excess kurtosis of -6 / (5 n), a
  distribution function is off by up to 0.55 / 24 of it, and a share by twice
  that; the slopes, bounded by 1, by no more.
  """
  slack = 1e-6
  if config.init == 'uniform' and field != 'variance':
    slack += 2 * 0.55 / 24 * 1.2 / config.inputs
  return slack


def check_variance(outcomes: Sequence[Outcome]) -> Finding:
  """The mean square of the sums, at every number of inputs.

  Holds if its interval over seeds holds n/300 for uniform and n/100 for normal
  weights.

  Untested if a law is not seen from 50 or fewer to 1000 or more inputs at scale
  0.1, or an interval reaches farther than a tenth of its mean to both sides.
  """
  settings = list(itertools.chain(*_laws(outcomes)))
  found = [
    claims.mean(
      each.measured['variance'] / each.predicted['variance'], len(settings)
    )
    for each in settings
  ]
  holds = [claims.agrees(each, 1, within=0.1, slack=1e-6) for each in found]
  far = max(range(len(found)), key=lambda at: abs(found[at].value - 1))
  ends = [settings[0], settings[-1]]
  told = [claims.told(stats.mean(each.measured['variance'])) for each in ends]
  return claims.finding(
    claims.together(holds),
    f'from {told[0]} ({ends[0].label}) to {told[1]} ({ends[1].label}); over '
    f'theory, farthest from 1: {claims.told(found[far])}, of '
    f'{settings[far].label}',
  )


def check_inputs(outcomes: Sequence[Outcome]) -> Finding:
  """The two ends of the sweep, under both laws.

  Holds if up to 50 inputs the interval of the variance lies below 1, that of an
  input, so that the signal shrinks, and that of the share of units in the
  sigmoid's linear zone above one half; and from 1000 inputs on that of tanh's
  mean slope below one half of the 1 that it has at 0.

  Untested if a law is not seen from 50 or fewer to 1000 or more inputs at scale
  0.1.
  """
  holds, parts = True, []
  for settings in _laws(outcomes):
    for each in settings:
      if each.config.inputs <= 50:
        variance = claims.mean(each.measured['variance'])
        linear = claims.mean(each.measured['linear'])
        holds &= bool((variance.high < 1) & (linear.low > 0.5))
        parts.append(
          f'{each.label}: {claims.told(variance)} of the variance of an input, '
          f'{claims.told(linear, "%")} of the units in the linear zone'
        )
      elif each.config.inputs >= 1000:
        slope = claims.mean(each.measured['tanh_slope'])
        holds &= bool(slope.high < 0.5)
        parts.append(f'{each.label}: {claims.told(slope)} of the slope of tanh')
  return claims.finding(holds, '; '.join(parts))


def check_zones(outcomes: Sequence[Outcome]) -> Finding:
  """The largest error of the straight line, and the largest slope, in a zone.

  Holds if no unit with |s| <= 0.8 is farther than 0.0101 from 1/2 + s/4, and no
  unit with |s| > 4 has a slope above 0.01767. These are what calculus allows at
  the edges of the zones. Both are less than a tenth, which is what "almost" is
  taken to say, of the line's rise of 0.2 and of the slope of 1/4 at 0.

  Untested if no unit of the run is in one of the zones.
  """
  settings = claims.every(outcomes)
  error = np.max([each.measured['linear_error'].max() for each in settings])
  slope = np.max([each.measured['flat_slope'].max() for each in settings])
  if error == 0 or slope == 0:
    raise claims.Untested('no unit of this run is in one of the zones')
  return claims.finding(
    error <= LINEAR_ERROR and slope <= FLAT_SLOPE,
    f'up to {LINEAR} from 0, |sigmoid - (1/2 + s/4)| is at most {error:.5f}; '
    f'beyond {FLAT:g} the slope is at most {slope:.5f} of 0.25',
  )


def check_shares(outcomes: Sequence[Outcome]) -> Finding:
  """Shares of the zones and mean slopes, by the number of inputs.

  Holds if from the fewest to the most inputs the intervals of the linear share
  and of the sigmoid's slope fall, and that of the flat share rises, without
  touching; and if every share and mean slope of the sweep has an interval that
  holds what theory says of a Gaussian sum, up to what a sum of uniform weights
  differs from one.

  Untested if a law is not seen from 50 or fewer to 1000 or more inputs at scale
  0.1, or an interval of a share or slope reaches farther than 0.05.
  """
  laws, fields = _laws(outcomes), ('linear', 'flat', *_SLOPES)
  cells = len(fields) * sum(map(len, laws))
  holds, parts, worst = [], [], 0.0
  for settings in laws:
    for each, field in itertools.product(settings, fields):
      found = claims.mean(each.measured[field], cells)
      said, slack = each.predicted[field], not_gaussian(each.config, field)
      holds.append(claims.agrees(found, said, within=0.05, slack=slack))
      worst = max(worst, float(abs(found.value - said)))
    for field, sign in (('linear', -1), ('flat', 1), ('sigmoid_slope', -1)):
      ends = [claims.mean(settings[end].measured[field]) for end in (0, -1)]
      low, high = ends[::sign]
      holds.append(low.high < high.low)
      words = in_words(field)
      parts.append(f'{words} {claims.told(ends[0])} to {claims.told(ends[1])}')
    parts[-3] = f'{settings[0].config.init}: {parts[-3]}'
  text = f'{"; ".join(parts)}; at most {worst:.2g} off theory'
  return claims.finding(claims.together(holds), text)


_SOURCE = '365 Data Science, Deep Learning with TensorFlow 2, initialization'
CLAIMS = (
  Claim(
    'lecture 7, variance',
    'With weights in +-0.1 or of deviation 0.1, a sum of n inputs of square 1 '
    'has the variance n/300 or n/100.',
    _SOURCE,
    check_variance,
  ),
  Claim(
    'lecture 7, both problematic',
    'That is too small below about 50 inputs, and saturates units above about '
    '1000.',
    _SOURCE,
    check_inputs,
  ),
  Claim(
    'lecture 8, zones',
    'The sigmoid is almost linear near 0 and almost flat at the extremes.',
    _SOURCE,
    check_zones,
  ),
  Claim(
    'lecture 8, shares',
    'With more inputs units leave the linear zone for the flat one, and the '
    'average slope falls.',
    _SOURCE,
    check_shares,
  ),
)

_SWEEP = functools.partial(Panel, kind='sweep', over='inputs')
PANELS = (
  _SWEEP('variance', 'Linear combinations', 'variance', log=True),
  _SWEEP('linear', 'Units where the sigmoid is linear', 'share of |s| <= 0.8'),
  _SWEEP('flat', 'Units where the sigmoid is flat', 'share of |s| > 4'),
  _SWEEP('sigmoid_slope', 'Slope of the sigmoid (at most 0.25)', 'mean slope'),
  _SWEEP('tanh_slope', 'Slope of tanh (at most 1)', 'mean slope'),
)


EXPERIMENT = of_module(
  __name__,
  load=lambda config, data_dir: None,
  parameters=lambda config: config.inputs * (config.units + config.examples),
  defaults={
    'init': 'uniform,normal',
    'inputs': '10,50,100,300,1000,3000',
  },
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
