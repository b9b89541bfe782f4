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
  Under 40 seconds on two CPU cores (16 seeds, four settings), half of it to
  compile.
Expect:
  The arithmetic mean: 8/(3 pi) = 0.85 and 0.49 of a linear layer, of which
  tanh leaves 0.76 and 0.48. The rms, by which a deviation is multiplied, is
  1 and 0.58 for a linear layer; the geometric mean, by which a length is where
  volumes are conserved, 0.61 and 0.35.
"""

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np

from initlab import (
  activations,
  base,
  claims,
  launch,
  losses,
  networks,
  probes,
  stats,
  theory,
)
from initlab.experiment import (
  GEOMETRIC,
  Outcome,
  Panel,
  PerLayer,
  knob,
  of_module,
)

from . import claims_start


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network at its initialization, and the examples it is shown."""

  widths: tuple[int, ...] = knob(
    (300,) * 5, 'the hidden widths; the claims are of layers of equal widths'
  )
  examples: int = knob(
    8, 'test examples that the network is shown; the Jacobian is taken at 8'
  )

  def __post_init__(self):
    super().__post_init__()
    if self.examples < 1:
      raise base.UserError(f'--examples={self.examples}: at least 1')


SMOKE = Config(widths=(7, 7), dataset='xor', examples=4)


class Result(NamedTuple):
  """Means of the singular values of dz_l/dz_{l-1}, layer by layer.

  mean_singular_value: the arithmetic mean.
  rms: the root of the mean square.
  geometric_mean: NaN where a layer has another width than the one below it.
  """

  mean_singular_value: Annotated[PerLayer, GEOMETRIC]
  rms: Annotated[PerLayer, GEOMETRIC]
  geometric_mean: Annotated[PerLayer, GEOMETRIC]


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the data set's test split."""
  return networks.test_examples(config, config.examples, data_dir)


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and looks at it."""
  seen = networks.look(config, key, batch)
  return Result(
    probes.mean_singular_value(*seen),
    probes.rms(*seen),
    probes.geometric_mean(*seen),
  )


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The closed forms, with what the slopes f'(s) take of them."""
  activation = activations.resolve(config.activation)
  laws = theory.layers(config.scheme(), config.layer_widths(), **config.knobs())
  x, loss = np.asarray(batch.x), losses.LOSSES[config.loss]
  found = theory.predict(laws, x, activation, loss, bias=config.bias)
  if not found:
    return {}
  return {
    'mean_singular_value': found['mean_singular_value'],
    **theory.predict_singular_values(laws, x, activation, bias=config.bias),
  }


def verdict(outcome: Outcome) -> list[str]:
  """The three means over the layers of two equal widths."""
  square = claims_start.square_layers(outcome.config.layer_widths())
  lines = []
  for field, means in (
    ('mean_singular_value', 'arithmetic mean, the average of the paper'),
    ('rms', 'rms, the ratio of deviations'),
    ('geometric_mean', 'geometric mean, the ratio of volumes'),
  ):
    values = outcome.measured[field][:, square]
    if not values.size:
      return ['no hidden layer has the width of the one below it']
    line = f'{means}: {claims.told(stats.geometric_mean(values.mean(1)))}'
    if field in outcome.predicted:
      line += f', theory {outcome.predicted[field][square].mean():.3g}'
    lines.append(line)
  return lines


PANELS = (
  Panel(
    'mean_singular_value',
    'Layer Jacobians: arithmetic mean',
    'mean singular value',
  ),
  Panel('rms', 'Layer Jacobians: rms', 'rms singular value'),
  Panel(
    'geometric_mean',
    'Layer Jacobians: geometric mean, where widths are equal',
    'geometric mean singular value',
  ),
)

EXPERIMENT = of_module(
  __name__,
  parameters=networks.parameters,
  claims=claims_start.JACOBIAN,
  defaults={
    'init': 'standard,glorot',
    'activation': 'tanh,identity',
    'seeds': '0:16',
  },
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
