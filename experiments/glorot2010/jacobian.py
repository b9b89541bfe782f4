"""The layer Jacobian: three means of its singular values.

Question:
  Glorot & Bengio call the average singular value of a layer's Jacobian "around
  0.8" with their normalized initialization and 0.5 with the standard one.
  Which average is it?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: equation 17 and the text after it.
Run:
  python -m experiments.glorot2010.jacobian --init=standard,glorot
Takes:
  Under 40 seconds on two CPU cores (16 seeds, four settings).
Expect:
  The arithmetic mean: 8/(3 pi) = 0.85 and 0.49 for a linear layer, which tanh
  reduces to 0.76 and 0.48. The rms, the factor of standard deviations, is 1 and
  0.58 for a linear layer; the geometric mean, the n-th root of the factor of
  volumes, is 0.61 and 0.35.
"""

from typing import Annotated, NamedTuple

import numpy as np

from initlab import base, experiment, launch, losses, networks, panels, probes
from initlab import stats, theory
from initlab.experiment import GEOMETRIC, PerLayer, knob

from . import claims_start


@experiment.config
class Config(networks.Network):
  """A network at initialization, and its examples."""

  widths: tuple[int, ...] = knob(
    (300,) * 5, 'the hidden widths; the claims need equal ones', least=1
  )
  examples: int = knob(
    8, 'test examples, at most all; the Jacobian is taken at 8 of them', least=1
  )


SMOKE = Config(widths=(7, 7), dataset='xor', examples=4)
SWEEP = {'init': ('standard', 'glorot'), 'activation': ('tanh', 'identity')}


class Result(NamedTuple):
  """Means of the singular values of dz_l/dz_{l-1}, layer by layer.

  mean_singular_value: the arithmetic mean.
  rms: the root mean square.
  geometric_mean: NaN where a layer has another width than the one below it.
  """

  mean_singular_value: Annotated[PerLayer, GEOMETRIC]
  rms: Annotated[PerLayer, GEOMETRIC]
  geometric_mean: Annotated[PerLayer, GEOMETRIC]


load = networks.load('test')


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and measures its Jacobians."""
  params = config.draw(key)
  signals = networks.signals(config, params, batch)
  seen = params, networks.activation(config), signals
  return Result(
    mean_singular_value=probes.mean_singular_value(*seen),
    rms=probes.rms(*seen),
    geometric_mean=probes.geometric_mean(*seen),
  )


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The closed forms, reduced by the slopes f'(s)."""
  laws = theory.layers(config.scheme(), config.layer_widths(), **config.knobs())
  network = laws, np.asarray(batch.x), networks.activation(config)
  loss = losses.LOSSES[config.loss]
  found = theory.predict(*network, loss, bias=config.bias)
  if not found:
    return {}
  return {
    'mean_singular_value': found['mean_singular_value'],
    **theory.predict_singular_values(*network, bias=config.bias),
  }


def verdict(outcome):
  """The three means over the layers of two equal widths."""
  square = claims_start.square_layers(outcome.config.layer_widths())
  if not square.any():
    return ['no hidden layer has the width of the one below it']
  lines = []
  for field, name in (
    ('mean_singular_value', "arithmetic mean, the paper's average"),
    ('rms', 'rms, the ratio of standard deviations'),
    ('geometric_mean', 'geometric mean, the ratio of volumes'),
  ):
    values = outcome.measured[field][:, square].mean(1)
    line = f'{name}: {stats.geometric_mean(values)}'
    if field in outcome.predicted:
      line += f', theory {outcome.predicted[field][square].mean():.3g}'
    lines.append(line)
  return lines


PANELS = (
  panels.Depth(
    'mean_singular_value',
    'Layer Jacobians: arithmetic mean',
    'mean singular value',
  ),
  panels.Depth('rms', 'Layer Jacobians: rms', 'rms singular value'),
  panels.Depth(
    'geometric_mean',
    'Layer Jacobians: geometric mean, where widths are equal',
    'geometric mean singular value',
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_start.JACOBIAN, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
