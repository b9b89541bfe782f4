"""A made-up sweep, as figures, pages and tables are handed one.

`study` is what the variance experiment would measure; `hard_inputs` are what it
may measure where networks break.
"""

import dataclasses

import numpy as np

from initlab import panels
from initlab.experiment import Outcome, knob


@dataclasses.dataclass(frozen=True)
class Config:
  init: str = knob('glorot', 'the scheme')
  widths: tuple[int, ...] = knob((1000,) * 5, 'the hidden widths')
  bias: float = knob(0.0, 'the constant of the biases')


GAINS = {'standard': 3**-0.5, 'glorot': 1.0, 'he': 2**0.5, 'zeros': 0.0}
PANELS = (
  panels.Depth('activation_std', 'Activations', 'deviation of z', log=True),
  panels.Depth('gradient_std', 'Gradients', 'deviation of dC/ds', log=True),
  panels.Depth('mean_singular_value', 'Layer Jacobians', 'mean singular value'),
  panels.Depth('saturated', 'Saturated units', 'share'),
  panels.Histogram('activation_sample', 'Figure 6', 'z'),
  panels.Histogram('gradient_sample', 'Figure 7', 'dC/ds', log=True),
)


def outcome(init: str, seeds: int = 32, layers: int = 6) -> Outcome:
  """One setting as the variance experiment would measure it."""
  rng = np.random.default_rng(7)
  gain, layer = GAINS[init] ** (6 / layers), np.arange(layers)
  up, down = 0.5 * gain ** (layer + 1), 0.08 * gain ** (layers - 1 - layer)
  noise = np.exp(0.01 * rng.standard_normal((2, seeds, layers)))
  normal = rng.standard_normal((2, seeds, layers, 100))
  hidden = np.where(layer < layers - 1, 1.0, np.nan)
  return Outcome(
    config=Config(init=init, widths=(1000,) * (layers - 1)),
    label=init,
    seeds=np.arange(seeds),
    measured={
      'activation_std': up * noise[0],
      'gradient_std': down * noise[1],
      'weight_gradient_std': up * down * noise[1],
      'mean_singular_value': 0.849 * gain * noise[0] * hidden,
      'saturated': np.maximum(0, up - 0.5) * noise[1] * hidden,
      'loss': 2.21 + 0.02 * rng.standard_normal(seeds),
      'activation_sample': np.tanh(up[:, None] * normal[0]),
      'gradient_sample': down[:, None] * normal[1],
    },
    predicted={
      'activation_std': up,
      'gradient_std': down,
      'mean_singular_value': 0.849 * gain * hidden,
      'loss': np.log(9.0),
    },
  )


def study(*inits: str, **size: int) -> list[Outcome]:
  return [outcome(init, **size) for init in inits]


def words(figure) -> str:
  """All text of a figure."""
  from matplotlib.text import Text

  return ' | '.join(text.get_text() for text in figure.findobj(Text))


def hard_inputs() -> dict[str, list[Outcome]]:
  broken = outcome('he')
  for field in ('activation_std', 'gradient_std'):
    broken.measured[field][:, 2] = np.nan
    broken.measured[field][3, 4:] = np.inf
  broken.measured['gradient_sample'][3] = np.nan
  silent = outcome('glorot')
  for values in silent.measured.values():
    values[...] = np.nan
  return {
    'one seed': study('glorot', 'he', seeds=1),
    'two seeds': study('glorot', seeds=2),
    'zeros among others': study('glorot', 'zeros'),
    'zeros alone': study('zeros'),
    'not finite': [broken],
    'never finite': [outcome('he'), silent],
    'nothing at all': [silent],
    'one layer': study('glorot', layers=1),
    'two layers': study('glorot', 'he', layers=2),
    'deep': study('standard', 'he', seeds=4, layers=1000),
    'two depths': [outcome('he', layers=3), outcome('he', layers=30)],
    'no theory': [outcome('he')._replace(predicted={})],
    'many settings': study('he')
    + [
      outcome('glorot', seeds=3)._replace(label=f'gain={i}') for i in range(12)
    ],
    'odd labels': [outcome('he')._replace(label='$a_b <& "c"')],
  }
