"""What an initialization does to the signal going up and the gradient down.

Question:
  Does a scheme preserve variance from layer to layer, forward and backward, at
  initialization? If not, by what factor does it change per layer? The signal is
  the part of an activation that differs between examples; the common part is an
  offset, and counts only in the variance over units and examples together.
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: equations 1, 5-7, 14 and 16, figures 6 to 8.
  Poole et al., Exponential expressivity in deep neural networks through
  transient chaos, 2016, for pairs of examples.
Run:
  python -m experiments.variance --init=standard,glorot,he
Takes:
  Under 30 seconds on two CPU cores (32 seeds, one scheme).
Expect:
  With tanh on Shapeset, glorot keeps the standard deviation of the gradients
  within a factor of two over five layers, standard loses about a factor of ten.
  The weight gradients are about equal in all layers with both (eq. 14, fig. 8).
"""

from typing import Annotated, Any, NamedTuple

import numpy as np

from initlab import (
  base,
  datasets,
  experiment,
  losses,
  networks,
  panels,
  stats,
  theory,
)
from initlab.experiment import (
  GEOMETRIC,
  Outcome,
  PerLayer,
  PerLayerSample,
  PerNetwork,
  knob,
)
from initlab.instruments import propagation


@experiment.config
class Config(networks.Network):
  """A network at initialization, and its examples."""

  examples: int = knob(
    300, 'test examples for the probes, at most all of them', least=1
  )


SMOKE = Config(widths=(20, 12), dataset='xor', examples=4)


class Result(NamedTuple):
  """The probes of the same names, see `initlab.probes`."""

  activation_std: Annotated[PerLayer, GEOMETRIC]
  activation_within_std: Annotated[PerLayer, GEOMETRIC]
  activation_mean: PerLayer
  example_cosine: PerLayer
  gradient_std: Annotated[PerLayer, GEOMETRIC]
  gradient_within_std: Annotated[PerLayer, GEOMETRIC]
  weight_gradient_std: Annotated[PerLayer, GEOMETRIC]
  mean_singular_value: Annotated[PerLayer, GEOMETRIC]
  saturated: PerLayer
  dead: PerLayer
  gradient_norm: Annotated[PerLayer, GEOMETRIC]
  gradient_norm_ratio: Annotated[PerNetwork, GEOMETRIC]
  mean_loss: PerNetwork
  activation_sample: PerLayerSample
  gradient_sample: PerLayerSample
  weight_gradient_sample: PerLayerSample


load = networks.load('test')


def run(config: Config, key: base.Key, batch: base.Batch) -> Result:
  """Draws one network and probes it."""
  params = config.draw(key)
  return Result(**networks.probed(config, params, batch, Result._fields))


def predict(config: Config, batch: base.Batch) -> dict[str, np.ndarray]:
  """The mean-field predictions of the setting.

  Beside the fields of `Result`: 'width_error' and, if it is known,
  'finite_width', see the functions of `theory` of the same names. With it,
  'activation_std' is the geometric mean at this width. A signal below the
  rounding of float32 is NaN.
  """
  laws, x = _laws(config), np.asarray(batch.x)
  if theory.missing(laws):
    return {}
  activation = networks.activation(config)
  loss = losses.LOSSES[config.loss]
  carried = theory.pairs(laws, batch, activation, loss, bias=config.bias)
  found = theory.predict(laws, x, activation, loss, bias=config.bias)
  found |= theory.predict_examples(carried, config.bias)
  found['activation_within_std'] = np.where(
    propagation.is_rounding(found), np.nan, found['activation_within_std']
  )
  found['width_error'] = theory.width_error(
    laws, x, activation, bias=config.bias
  )
  noise = theory.finite_width(laws, carried, activation, config.bias)
  if noise is not None:
    found['finite_width'] = noise
    found['activation_std'] = found['activation_std'] * np.exp(-noise / 4)
  return found


def _laws(config: Config) -> tuple[theory.WeightLaw, ...]:
  widths, knobs = config.layer_widths(), config.knobs()
  return theory.layers(config.scheme(), widths, **knobs)


def verdict(outcome: Outcome) -> list[str]:
  """Whether variance is preserved, forward and backward, or the factors."""
  lines = propagation.lines(outcome, _laws(outcome.config))
  ratio = stats.geometric_mean(outcome.measured['gradient_norm_ratio'])
  words = f'{ratio} times the norm of the last{propagation.of_seeds(ratio)}'
  lines.append(
    f'weight gradients: the first layer has {words if ratio.n else "none"}'
  )
  loss = stats.mean(outcome.measured['mean_loss'])
  unit = losses.LOSSES[outcome.config.loss].unit
  classes = datasets.resolve(outcome.config.dataset).num_classes
  lines.append(
    f'loss at initialization: {loss} {unit}; an even guess of {classes} '
    f'classes has {_even_guess(outcome.config, classes):.4g}'
  )
  return lines


def _even_guess(config: Config, classes: int) -> float:
  zero = np.zeros(())
  return float(losses.LOSSES[config.loss].expected(zero, 0.0, classes))


def answer(outcome: Outcome) -> dict[tuple[str, str], Any]:
  """The factors a layer, forward and backward, and how even gradients are."""
  found = propagation.factors(outcome)
  ratio = stats.geometric_mean(outcome.measured['gradient_norm_ratio'])
  found['weight gradient, first over last', 'measured'] = ratio
  return found


PANELS = (
  panels.Depth(
    'activation_std',
    'Activations, going up',
    'standard deviation of z',
    log=True,
  ),
  panels.Depth(
    'activation_within_std',
    'The signal, going up: activations over examples, within units',
    'standard deviation of z over examples',
    log=True,
  ),
  panels.Depth(
    'example_cosine',
    'How alike two examples become',
    'mean cosine of pre-activations s',
  ),
  panels.Depth(
    'gradient_std',
    'Back-propagated gradients, coming down',
    'standard deviation of dC/ds',
    log=True,
  ),
  panels.Depth(
    'gradient_within_std',
    'Gradients over examples, within units, coming down',
    'standard deviation of dC/ds over examples',
    log=True,
  ),
  panels.Depth(
    'weight_gradient_std',
    'Weight gradients',
    'standard deviation of dC/dw',
    log=True,
  ),
  panels.Depth(
    'mean_singular_value',
    'Layer Jacobians, dz of a layer by dz of the one below',
    'mean singular value',
  ),
  panels.Depth('saturated', 'Saturated units', 'share of units and examples'),
  panels.Histogram(
    'activation_sample',
    'Activations at initialization (figure 6 of the paper)',
    'activation z',
  ),
  panels.Histogram(
    'gradient_sample',
    'Back-propagated gradients (figure 7 of the paper)',
    'dC/ds of one example',
  ),
  panels.Histogram(
    'weight_gradient_sample',
    'Weight gradients (figure 8 of the paper)',
    'dC/dw of one example',
  ),
)


EXPERIMENT = experiment.of_module(
  __name__,
  program=('-m', 'experiments.variance'),
)
