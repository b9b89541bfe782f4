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
import itertools
from typing import NamedTuple

import numpy as np

from initlab import (
  activations,
  base,
  datasets,
  initializers,
  keys,
  launch,
  losses,
  mlp,
  probes,
  stats,
  theory,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """One network at its initialization, and the examples it is shown."""

  init: str = base.knob(
    'glorot', 'the scheme that draws the weights', initializers.SCHEMES
  )
  activation: str = base.knob(
    'tanh', 'the nonlinearity of the hidden layers', activations.ACTIVATIONS
  )
  widths: tuple[int, ...] = base.knob(
    (1000,) * 5, 'the hidden widths: 1000x5, or 500-1000-500'
  )
  depth: int = base.knob(
    0,
    'hidden layers: the widths are repeated in turn until there are so many; '
    '0 takes each once',
  )
  dataset: str = base.knob(
    'shapeset', 'where inputs and labels come from', datasets.DATASETS
  )
  examples: int = base.knob(300, 'how many test examples the network is shown')
  distribution: str = base.knob(
    'default',
    'the distribution of a family with a choice (glorot, he, lecun, prelu)',
    ('default', 'uniform', 'normal', 'truncated_normal'),
  )
  gain: str = base.knob(
    'default',
    "multiplies the weights: a number, 'default' for the scheme's own, or "
    "'activation' for 1 / sqrt(E f(z)^2) of the activation",
  )
  bias: float = base.knob(0.0, 'the constant that is added to every bias')
  loss: str = base.knob(
    'cross_entropy', 'the cost whose gradient comes down', losses.LOSSES
  )

  def __post_init__(self):
    if not self.widths or min(self.widths) < 1:
      raise base.UserError(
        f'--widths={"-".join(map(str, self.widths))}: widths are at least 1'
      )
    if not 0 <= self.depth <= 1000:
      raise base.UserError(f'--depth={self.depth}: from 0 to 1000 layers')
    if self.examples < 1:
      raise base.UserError(f'--examples={self.examples}: at least 1')
    try:
      scheme = initializers.resolve(self.init, self.distribution)
    except base.UserError as error:
      where = f'--init={self.init} --distribution={self.distribution}'
      raise base.UserError(f'{where}: {error}') from None
    scheme.make(**self.knobs())

  def layer_widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`, the input and the output included."""
    dataset = datasets.DATASETS[self.dataset]
    depth = self.depth or len(self.widths)
    hidden = itertools.islice(itertools.cycle(self.widths), depth)
    return (dataset.input_size, *hidden, dataset.num_classes)

  def knobs(self) -> dict[str, float]:
    """What is handed to the scheme beside the shape."""
    if self.gain == 'default':
      return {}
    if 'gain' not in initializers.SCHEMES[self.init].knobs:
      raise base.UserError(f'--gain={self.gain}: {self.init} has no gain')
    if self.gain == 'activation':
      return {'gain': activations.gain(self.activation)}
    try:
      return {'gain': float(self.gain)}
    except ValueError:
      raise base.UserError(
        f"--gain={self.gain}: a number, 'default' or 'activation'"
      ) from None


SMOKE = Config(widths=(20, 12), dataset='xor', examples=4)


class Result(NamedTuple):
  """The probes of the same names; see `initlab.probes` for what they are."""

  activation_std: base.PerLayer
  gradient_std: base.PerLayer
  weight_gradient_std: base.PerLayer
  mean_singular_value: base.PerLayer
  saturated: base.PerLayer
  dead: base.PerLayer
  gradient_norm: base.PerLayer
  gradient_norm_ratio: base.PerNetwork
  cost: base.PerNetwork
  activation_sample: base.PerLayerSample
  gradient_sample: base.PerLayerSample
  weight_gradient_sample: base.PerLayerSample


def load(config: Config, data_dir: str) -> base.Batch:
  """The first examples of the data set's test split."""
  dataset = datasets.DATASETS[config.dataset]
  return dataset.split('test', config.examples, data_dir)


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and looks at it."""
  scheme = initializers.resolve(config.init, config.distribution)
  activation = activations.ACTIVATIONS[config.activation]
  loss = losses.LOSSES[config.loss].per_example
  params = mlp.init(
    keys.stream(key, 'init'),
    config.layer_widths(),
    scheme.make(**config.knobs()),
    scheme.bias() if scheme.bias else None,
    shift=config.bias,
  )
  signals = mlp.signals(params, batch, activation, loss)
  measured = (probes.PROBES[name] for name in Result._fields)
  return Result(*(probe(params, activation, signals) for probe in measured))


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The per-example mean field of the setting."""
  scheme = initializers.resolve(config.init, config.distribution)
  laws = theory.layers(scheme, config.layer_widths(), **config.knobs())
  predicted = theory.predict(
    laws,
    np.asarray(batch.x),
    activations.ACTIVATIONS[config.activation],
    losses.LOSSES[config.loss],
    bias=config.bias,
  )
  return {name: predicted[name] for name in Result._fields if name in predicted}


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
    steps = measured.shape[1] - 1
    words = _in_words(float(factor.value), steps)
    line = f'{direction}: {words}; variance x '
    line += f'{factor.value:.3g} a layer [{factor.low:.3g}, {factor.high:.3g}]'
    if field in outcome.predicted:
      theory_factor = _factor(outcome.predicted[field][None, :-1][:, ::step])
      line += f', theory {theory_factor[0]:.3g}'
    lines.append(line)
  lines += _weights_alone(outcome.config)
  ratio = stats.geometric_mean(outcome.measured['gradient_norm_ratio'])
  lines.append(
    'weight gradients: the first layer has '
    f'{ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}] times the norm of '
    'the last'
  )
  cost = stats.mean(outcome.measured['cost'])
  unit = losses.LOSSES[outcome.config.loss].unit
  classes = datasets.DATASETS[outcome.config.dataset].num_classes
  lines.append(
    f'cost at initialization: {cost.value:.4g} [{cost.low:.4g}, '
    f'{cost.high:.4g}] {unit}; an even guess of {classes} classes costs '
    f'{_even_guess(outcome.config, classes):.4g}'
  )
  return lines


def _weights_alone(config: Config) -> list[str]:
  """What is left of the factors when f(s) = s: equations 10 and 11."""
  scheme = initializers.resolve(config.init, config.distribution)
  laws = theory.layers(scheme, config.layer_widths(), **config.knobs())[1:-1]
  if not laws or any(law.weights.family == 'fixed' for law in laws):
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


def _factor(stds: np.ndarray) -> np.ndarray:
  """The geometric mean factor of variance from layer to layer, `[S]`."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return (stds[:, -1] / stds[:, 0]) ** (2 / (stds.shape[1] - 1))


def _in_words(factor: float, steps: int) -> str:
  """Preserved if within a quarter after all steps; slow if half takes two."""
  if not np.isfinite(factor) or factor == 0:
    return 'there is no signal'
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
    log=True,
  ),
  base.Panel(
    'weight_gradient_sample',
    'Weight gradients (figure 8 of the paper)',
    'dC/dw of one example',
    kind='histogram',
    log=True,
  ),
)


def parameters(config: Config) -> int:
  """How many numbers one network has."""
  pairs = itertools.pairwise(config.layer_widths())
  return sum((n_in + 1) * n_out for n_in, n_out in pairs)


EXPERIMENT = base.Experiment(
  name='variance',
  doc=__doc__,
  config=Config,
  smoke=SMOKE,
  result=Result,
  load=load,
  run=run,
  parameters=parameters,
  panels=PANELS,
  predict=predict,
  verdict=verdict,
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
