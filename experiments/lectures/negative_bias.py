"""The effect of a large negative bias on sigmoid units.

Question:
  In general, biases start at zero. What does a bias of -10 make of the
  activation of a sigmoid unit, and of the gradient that passes it?
Paper:
  Larochelle, Neural networks, "Training neural networks: parameter
  initialization": biases are zero; a bias of -10 makes sigmoid units sparse.
Run:
  python -m experiments.lectures.negative_bias
Takes:
  15 seconds on two CPU cores (32 seeds, 6 biases).
Expect:
  At -10 the mean activation of a hidden layer is near sigmoid(-10) = 4.5e-5,
  some 10,000 times lower than at 0: the units are sparse indeed. The gradient
  of their weights falls by as much.
"""

import functools
from typing import Annotated, NamedTuple

import numpy as np

from initlab import activations, base, claims, experiment, functions, launch
from initlab import networks, panels, probes, stats
from initlab.experiment import GEOMETRIC, PerNetwork, knob, written

SPARSE_BIAS = -10.0
ACTIVE = 0.1  # activation above which a unit counts as active


@experiment.config
class Config(networks.Network):
  """A network at initialization, and its examples."""

  activation: functions.Named = networks.activation_knob(
    'sigmoid', 'the nonlinearity of the hidden layer'
  )
  widths: tuple[int, ...] = knob((100,), 'the width of the hidden layer')
  dataset: functions.Named = networks.dataset_knob('digits')
  examples: int = knob(300, 'test examples, at most all of them', least=1)

  def check(self):
    """Refuses more than one hidden layer."""
    super().check()
    if len(self.layer_widths()) > 3:
      where = f'--widths={written(self.widths)} --depth={self.depth}'
      raise base.UserError(f'{where}: one hidden layer')


SMOKE = Config(widths=(4,), dataset='xor', examples=4)
SWEEP = {'bias': (0, -2, -4, -6, -8, -10)}


class Result(NamedTuple):
  """Of the hidden units, over all examples.

  mean_activation: of sigmoid(s), or of what the activation is.
  active: share of units and examples above 0.1.
  gradient_norm: |dC/dw| of their incoming weights, C the mean loss.
  """

  mean_activation: PerNetwork
  active: PerNetwork
  gradient_norm: Annotated[PerNetwork, GEOMETRIC]


load = networks.load('test')


def run(config: Config, key, batch):
  """Draws one network and measures its hidden layer."""
  params = config.draw(key)
  signals = networks.signals(config, params, batch)
  z = signals.post[0]
  norms = probes.gradient_norm(params, networks.activation(config), signals)
  return Result(
    mean_activation=z.mean(),
    active=(z > ACTIVE).astype(z.dtype).mean(),
    gradient_norm=norms[0],
  )


def predict(config: Config, batch):
  """The mean activation of s ~ N(bias, |x|^2 Var[w]), averaged over x."""
  n_in, n_out, *_ = config.layer_widths()
  law = config.scheme().law(n_in, n_out, **config.knobs())
  if law.family in ('fixed', 'unknown'):
    return {}
  variances = law.variance * np.sum(np.asarray(batch.x, float) ** 2, axis=1)
  f = networks.activation(config)
  means = activations.moments(f, variances, config.bias)[0]
  return {'mean_activation': np.array(np.mean(means))}


def verdict(outcome):
  """Activity of the units, and the gradient of their weights."""
  mean = functools.partial(stats.average, outcome)
  return [
    f'mean activation {mean("mean_activation")}; {mean("active"):%} of the '
    f'units are above {ACTIVE}; the gradient of their weights has the norm '
    f'{mean("gradient_norm")}, geometric mean'
  ]


SOURCE = 'Hugo Larochelle, Neural networks, lesson "Parameter initialization"'


def _sparse_and_dense(outcomes):
  """The settings of sigmoid units with a bias of -10 and with none."""
  of = functools.partial(claims.one, outcomes, activation='sigmoid')
  return of(bias=SPARSE_BIAS), of(bias=0.0)


@claims.claim('lecture 9, sparse', SOURCE)
def sparse_units(outcomes):
  """A bias of -10 makes sigmoid units sparse: sigmoid(-10) = 4.54e-5.

  Holds if at -10 no unit of any seed is active, above 0.1, on any example,
  though without the bias the interval of the share of active ones lies above
  one half; and if the interval of the mean activation holds what theory says
  and lies below 1e-4: sigmoid(s - 10) is about exp(s) sigmoid(-10), and without
  the bias units are in the sigmoid's linear zone, where exp(s) is at most 2.2.

  Untested if sigmoid units with biases of -10 and 0 are not both in the run, or
  the interval of the mean reaches farther than a tenth of it to both sides.
  """
  sparse, dense = _sparse_and_dense(outcomes)
  mean = claims.mean(sparse.measured['mean_activation'])
  theory = float(sparse.predicted['mean_activation'])
  active, before = (claims.mean(x.measured['active']) for x in (sparse, dense))
  holds = [
    bool(active.high == 0),
    bool(before.low > 0.5),
    bool(mean.high < 1e-4),
    claims.agrees(mean, theory, within=theory / 10),
  ]
  return claims.finding(
    claims.together(holds),
    f'mean activation {mean}, theory {theory:.4g}, sigmoid(-10) alone '
    f'{1 / (1 + np.exp(-SPARSE_BIAS)):.4g}; {active:%} of the units above '
    f'{ACTIVE}, without the bias {before:%}',
  )


@claims.claim('lecture 9, gradient', SOURCE)
def lost_gradient(outcomes):
  """A bias of -10 also makes the weight gradient vanish; so biases start at 0.

  Holds if the interval of the norm of the gradient of their weights, over that
  without the bias, lies below a thousandth. The slopes at s = 0 alone make it
  1.8e-4; sums of variance 1.7, whose root mean square slope is exp(1.7) = 5.5
  times as large, make it a thousandth.

  Untested if sigmoid units with biases of -10 and 0 are not both in the run.
  """
  sparse, dense = _sparse_and_dense(outcomes)
  there, without = (x.measured['gradient_norm'] for x in (sparse, dense))
  ratio = claims.ratio(there, without)
  slopes = np.exp(SPARSE_BIAS) / (1 + np.exp(SPARSE_BIAS)) ** 2 / 0.25
  return claims.finding(
    bool(ratio.high < 1e-3),
    f'{ratio} of the norm without the bias; the slopes alone make it '
    f'{slopes:.3g}',
  )


_SWEEP = functools.partial(panels.Sweep, knob='bias')
PANELS = (
  _SWEEP('mean_activation', 'Mean activation', 'mean of z', log=True),
  _SWEEP('active', 'Active units', 'share above 0.1'),
  _SWEEP('gradient_norm', 'Gradient of their weights', '|dC/dw|', log=True),
)
EXPERIMENT = experiment.of_module(__name__)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
