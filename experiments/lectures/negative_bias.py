"""What a large negative bias does to sigmoid units.

Question:
  Biases start at zero, in general. What does a bias of -10 make of a sigmoid
  unit, of its activation and of the gradient that passes it?
Paper:
  Larochelle, Neural networks, "Training neural networks: parameter
  initialization": biases are zero; a bias of -10 makes sigmoid units sparse.
Run:
  python -m experiments.lectures.negative_bias
Takes:
  15 seconds on two CPU cores (32 seeds, 6 biases).
Expect:
  At -10 the units of a hidden layer are at sigmoid(-10) = 4.5e-5, some 10,000
  times lower than at 0: sparse indeed. So is the gradient of their weights.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Annotated, NamedTuple

import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  functions,
  launch,
  networks,
  probes,
  stats,
)
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  knob,
  of_module,
  written,
)

SPARSE_BIAS = -10.0
_ACTIVE = 0.1  # activation from which a unit counts as active


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network at its initialization, and the examples it is shown."""

  activation: functions.Named = networks.activation_knob(
    'sigmoid', 'the nonlinearity of the hidden layer'
  )
  widths: tuple[int, ...] = knob((100,), 'the width of the hidden layer')
  dataset: str = knob(
    'digits', 'where inputs and labels come from', datasets.DATASETS
  )
  examples: int = knob(300, 'how many test examples the network is shown')

  def __post_init__(self):
    super().__post_init__()
    if len(self.widths) > 1 or self.depth > 1:
      raise base.UserError(f'--widths={written(self.widths)}: one hidden layer')
    if self.examples < 1:
      raise base.UserError(f'--examples={self.examples}: at least 1')


SMOKE = Config(widths=(4,), dataset='xor', examples=4)


class Result(NamedTuple):
  """Of the hidden units, over all examples.

  mean_activation: of sigmoid(s), or of what the activation is.
  active: share of units and examples above 0.1.
  gradient_norm: |dC/dw| of their incoming weights, C the mean cost.
  """

  mean_activation: PerNetwork
  active: PerNetwork
  gradient_norm: Annotated[PerNetwork, GEOMETRIC]


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the data set's test split."""
  return networks.test_examples(config, config.examples, data_dir)


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and looks at its hidden layer."""
  params, activation, signals = networks.look(config, key, batch)
  z = signals.post[0]
  return Result(
    mean_activation=z.mean(),
    active=(z > _ACTIVE).astype(z.dtype).mean(),
    gradient_norm=probes.gradient_norm(params, activation, signals)[0],
  )


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The mean activation of s ~ N(bias, |x|^2 Var[w]), averaged over x."""
  n_in, n_out, *_ = config.layer_widths()
  law = config.scheme().law(n_in, n_out, **config.knobs())
  if law.family in ('fixed', 'unknown'):
    return {}
  variances = law.variance * np.sum(np.asarray(batch.x, float) ** 2, axis=1)
  f = activations.resolve(config.activation)
  means = activations.moments(f, variances, config.bias)[0]
  return {'mean_activation': np.array(np.mean(means))}


def verdict(outcome: Outcome) -> list[str]:
  """How active the units are, and how much they are taught."""
  told = lambda name, unit='': claims.told(stats.average(outcome, name), unit)
  return [
    f'mean activation {told("mean_activation")}, above {_ACTIVE} '
    f'{told("active", "%")} of the units; gradient of the weights '
    f'{told("gradient_norm")}, geometric mean'
  ]


def _ends(
  outcomes: Sequence[Outcome],
) -> tuple[Outcome, Outcome]:
  """The settings of sigmoid units with a bias of -10 and with none.

  Raises:
    Untested: one is missing, or there are several of one.
  """
  of = functools.partial(claims.one, outcomes, activation='sigmoid')
  return of(bias=SPARSE_BIAS), of(bias=0.0)


def check_sparse(outcomes: Sequence[Outcome]) -> Finding:
  """Active units, above 0.1, and the mean activation, over seeds.

  Holds if at -10 no unit of any seed is active on any example, though without
  the bias the interval of the share of active ones lies above one half; and if
  the interval of the mean activation holds what theory says and lies below
  1e-4: sigmoid(s - 10) is about exp(s) sigmoid(-10), and units are in the
  sigmoid's linear zone without the bias, where exp(s) is 2.2 at most.

  Untested if sigmoid units with biases of -10 and 0 are not both in the run, or
  the interval of the mean reaches farther than a tenth of it to both sides.
  """
  sparse, dense = _ends(outcomes)
  mean = claims.mean(sparse.measured['mean_activation'])
  theory_mean = float(sparse.predicted['mean_activation'])
  active, before = (claims.mean(x.measured['active']) for x in (sparse, dense))
  holds = [
    bool(active.high == 0),
    bool(before.low > 0.5),
    bool(mean.high < 1e-4),
    claims.agrees(mean, theory_mean, within=theory_mean / 10),
  ]
  return claims.finding(
    claims.together(holds),
    f'mean activation {claims.told(mean)}, theory {theory_mean:.4g}, '
    f'sigmoid(-10) alone {1 / (1 + np.exp(-SPARSE_BIAS)):.4g}; '
    f'{claims.told(active, "%")} of the units above {_ACTIVE}, without the '
    f'bias {claims.told(before, "%")}',
  )


def check_gradient(outcomes: Sequence[Outcome]) -> Finding:
  """The norm of the gradient of their weights, over that without the bias.

  Holds if its interval lies below a thousandth. The slopes at s = 0 alone make
  1.8e-4 of it; a thousandth is what sums of variance 1.7 make, whose root mean
  square slope is exp(1.7) = 5.5 times as large.

  Untested if sigmoid units with biases of -10 and 0 are not both in the run.
  """
  sparse, dense = _ends(outcomes)
  ratio = claims.ratio(
    sparse.measured['gradient_norm'], dense.measured['gradient_norm']
  )
  slopes = np.exp(SPARSE_BIAS) / (1 + np.exp(SPARSE_BIAS)) ** 2 / 0.25
  return claims.finding(
    bool(ratio.high < 1e-3),
    f'{claims.told(ratio)} of the norm without the bias; the slopes alone make '
    f'{slopes:.3g}',
  )


_SOURCE = 'Hugo Larochelle, Neural networks, lesson "Parameter initialization"'
CLAIMS = (
  Claim(
    'lecture 9, sparse',
    'A bias of -10 makes sigmoid units sparse: sigmoid(-10) = 4.54e-5.',
    _SOURCE,
    check_sparse,
  ),
  Claim(
    'lecture 9, gradient',
    'In general biases are zero: such a bias takes the gradient, too.',
    _SOURCE,
    check_gradient,
  ),
)

_SWEEP = functools.partial(Panel, kind='sweep', over='bias')
PANELS = (
  _SWEEP('mean_activation', 'Mean activation', 'mean of z', log=True),
  _SWEEP('active', 'Active units', 'share above 0.1'),
  _SWEEP('gradient_norm', 'Gradient of their weights', '|dC/dw|', log=True),
)


EXPERIMENT = of_module(
  __name__,
  parameters=networks.parameters,
  defaults={'bias': '0,-2,-4,-6,-8,-10'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
