"""What an initialization does to the signal going up and the gradient down.

Question:
  Does a scheme preserve variance from layer to layer, upward and downward, at
  initialization, and by what factor a layer does it not?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: equations 1, 5-7, 14 and 16, figures 6 to 8.
Run:
  python -m experiments.variance --init=standard,glorot,he
Takes:
  Under 30 seconds on two CPU cores (32 seeds, one scheme).
Expect:
  With tanh on Shapeset, glorot keeps the gradients' deviation within a factor
  of two over five layers while standard loses about a factor of ten, and the
  weight gradients are about equal in all layers under both (eq. 14, figure 8).
"""

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  launch,
  losses,
  networks,
  probes,
  stats,
  theory,
)


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network at its initialization, and the examples it is shown."""

  examples: int = base.knob(300, 'how many test examples the network is shown')

  def __post_init__(self):
    super().__post_init__()
    if self.examples < 1:
      raise base.UserError(f'--examples={self.examples}: at least 1')


SMOKE = Config(widths=(20, 12), dataset='xor', examples=4)


class Result(NamedTuple):
  """The probes of the same names; see `initlab.probes` for what they are."""

  activation_std: Annotated[base.PerLayer, base.GEOMETRIC]
  gradient_std: Annotated[base.PerLayer, base.GEOMETRIC]
  weight_gradient_std: Annotated[base.PerLayer, base.GEOMETRIC]
  mean_singular_value: Annotated[base.PerLayer, base.GEOMETRIC]
  saturated: base.PerLayer
  dead: base.PerLayer
  gradient_norm: Annotated[base.PerLayer, base.GEOMETRIC]
  gradient_norm_ratio: Annotated[base.PerNetwork, base.GEOMETRIC]
  cost: base.PerNetwork
  activation_sample: base.PerLayerSample
  gradient_sample: base.PerLayerSample
  weight_gradient_sample: base.PerLayerSample


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the data set's test split."""
  return networks.test_examples(config, config.examples, data_dir)


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and looks at it."""
  seen = networks.look(config, key, batch)
  return Result(*(probes.PROBES[name](*seen) for name in Result._fields))


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The per-example mean field of the setting."""
  predicted = theory.predict(
    _laws(config),
    np.asarray(batch.x),
    activations.ACTIVATIONS[config.activation],
    losses.LOSSES[config.loss],
    bias=config.bias,
  )
  return {name: predicted[name] for name in Result._fields if name in predicted}


def _laws(config: Config) -> tuple[theory.WeightLaw, ...]:
  widths, knobs = config.layer_widths(), config.knobs()
  return theory.layers(config.scheme(), widths, **knobs)


def verdict(outcome: base.Outcome) -> list[str]:
  """Is variance preserved, upward and downward, and by what factor a layer?"""
  lines = []
  for direction, field, step in (
    ('upward, the activations', 'activation_std', 1),
    ('downward, the gradients', 'gradient_std', -1),
  ):
    measured = outcome.measured[field][:, :-1][:, ::step]
    if measured.shape[1] < 2:
      lines.append(f'{direction}: one hidden layer, nothing to compare')
      continue
    factor = stats.geometric_mean(_factor(measured))
    if not factor.n:
      lines.append(f'{direction}: there is no signal')
      continue
    words = _in_words(float(factor.value), measured.shape[1] - 1)
    line = f'{direction}: {words}; variance x {claims.told(factor)} a layer'
    line += _of_seeds(factor)
    if field in outcome.predicted:
      theory_factor = _factor(outcome.predicted[field][None, :-1][:, ::step])
      line += f', theory {theory_factor[0]:.3g}'
    lines.append(line)
  lines += _weights_alone(outcome.config)
  ratio = stats.geometric_mean(outcome.measured['gradient_norm_ratio'])
  words = f'{claims.told(ratio)} times the norm of the last{_of_seeds(ratio)}'
  lines.append(
    f'weight gradients: the first layer has {words if ratio.n else "none"}'
  )
  cost = stats.mean(outcome.measured['cost'])
  unit = losses.LOSSES[outcome.config.loss].unit
  classes = datasets.DATASETS[outcome.config.dataset].num_classes
  lines.append(
    f'cost at initialization: {claims.told(cost)} {unit}; an even guess '
    f'of {classes} classes costs {_even_guess(outcome.config, classes):.4g}'
  )
  return lines


def _weights_alone(config: Config) -> list[str]:
  """What is left of the factors when f(s) = s: equations 10 and 11."""
  laws = _laws(config)[1:-1]
  random = [
    law.weights.family != 'fixed' and law.weights.variance > 0 for law in laws
  ]
  if not laws or not all(random):
    return []
  upward, downward = (
    np.exp(
      np.mean([np.log(getattr(law, n) * law.weights.variance) for law in laws])
    )
    for n in ('n_in', 'n_out')
  )
  return [
    f'of that the weights alone make n_in Var[w] = {upward:.3g} upward and '
    f'n_out Var[w] = {downward:.3g} downward, 1 being preserved; the rest is '
    f"{config.activation}'s"
  ]


def _of_seeds(estimate: stats.Estimate) -> str:
  """How many seeds it is of, where not of all."""
  n, total = int(estimate.n), estimate.total
  return f' ({n} of {total} seeds)' if n < total else ''


def _factor(stds: np.ndarray) -> np.ndarray:
  """The geometric mean factor of variance from layer to layer, `[S]`."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return (stds[:, -1] / stds[:, 0]) ** (2 / (stds.shape[1] - 1))


def _in_words(factor: float, steps: int) -> str:
  """Preserved if within a quarter after all steps; slow if half takes two."""
  if abs(steps * np.log(factor)) <= np.log(1.25):
    return 'preserved'
  layers = np.log(2) / abs(np.log(factor))
  verb = 'shrinks' if factor < 1 else 'grows'
  pace = 'slowly' if layers > 2 else 'fast'
  change = 'halves' if factor < 1 else 'doubles'
  return f'{verb} {pace}, {change} every {layers:.2g} layers'


def _even_guess(config: Config, classes: int) -> float:
  zero = np.zeros(())
  return float(losses.LOSSES[config.loss].expected(zero, 0.0, classes))


PANELS = (
  base.Panel(
    'activation_std',
    'Activations, going up',
    'standard deviation of z',
    log=True,
  ),
  base.Panel(
    'gradient_std',
    'Back-propagated gradients, coming down',
    'standard deviation of dC/ds',
    log=True,
  ),
  base.Panel(
    'weight_gradient_std',
    'Weight gradients',
    'standard deviation of dC/dw',
    log=True,
  ),
  base.Panel(
    'mean_singular_value',
    'Layer Jacobians, dz of a layer by dz of the one below',
    'mean singular value',
  ),
  base.Panel('saturated', 'Saturated units', 'share of units and examples'),
  base.Panel(
    'activation_sample',
    'Activations at initialization (figure 6 of the paper)',
    'activation z',
    kind='histogram',
  ),
  base.Panel(
    'gradient_sample',
    'Back-propagated gradients (figure 7 of the paper)',
    'dC/ds of one example',
    kind='histogram',
  ),
  base.Panel(
    'weight_gradient_sample',
    'Weight gradients (figure 8 of the paper)',
    'dC/dw of one example',
    kind='histogram',
  ),
)


EXPERIMENT = base.Experiment(
  name='variance',
  doc=__doc__,
  config=Config,
  smoke=SMOKE,
  result=Result,
  load=load,
  run=run,
  parameters=networks.parameters,
  panels=PANELS,
  predict=predict,
  verdict=verdict,
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
