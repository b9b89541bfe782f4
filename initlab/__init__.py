"""initlab: what an initialization does to a neural network, over many seeds.

The rooms, each of which imports only those before it:

    science       the modules of this package and `instruments`: initializers,
                  networks, probes, theory, statistics, trainings, experiments
    engine        runs seeds over lanes, devices and workers, and stores them
    report        tables, text, pages and figures of outcomes
    launch        the command line
    experiments   the programs (installed as `initlab.experiments`)

A notebook calls `initlab.variance`, `initlab.learning`, `initlab.audit`,
`initlab.coordinate_check`, `initlab.sweep` and `initlab.run`, see
`initlab.lab`. `import initlab` loads only the science room, with JAX, NumPy,
Optax, Chex and absl.
"""

import importlib
from typing import Any

from initlab import (
  activations,
  base,
  claims,
  datasets,
  experiment,
  gradient_check,
  hessian,
  initializers,
  jacobians,
  keys,
  losses,
  mlp,
  networks,
  probes,
  stats,
  theory,
  training,
)

__version__ = '0.1.0'

# What a notebook calls, `initlab.lab.__all__`, which is loaded when it is used.
_LAZY = (
  'AuditReport',
  'CoordinateReport',
  'Report',
  'SweepReport',
  'audit',
  'coordinate_check',
  'learning',
  'run',
  'sweep',
  'variance',
)

__all__ = [
  'activations',
  'base',
  'claims',
  'datasets',
  'experiment',
  'gradient_check',
  'hessian',
  'initializers',
  'jacobians',
  'keys',
  'losses',
  'mlp',
  'networks',
  'probes',
  'stats',
  'theory',
  'training',
  *_LAZY,
]


def __getattr__(name: str) -> Any:
  if name in _LAZY:
    return getattr(importlib.import_module('initlab.lab'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted({*globals(), *_LAZY})
