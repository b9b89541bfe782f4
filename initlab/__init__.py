"""initlab: what an initialization does to a neural network, over many seeds.

The rooms, each of which imports only those before it:

    science       the modules of this package and `instruments`: initializers,
                  networks, probes, theory, statistics, trainings, experiments
    engine        seeds to lanes, devices, workers and disk
    report        outcomes to tables, text, pages and figures
    launch        what a shell starts
    experiments   the programs (installed as `initlab.experiments`)

`import initlab` loads the science, and no more than JAX, NumPy, Optax, Chex and
absl with it.
"""

from initlab import (
  activations,
  base,
  claims,
  datasets,
  experiment,
  gradient_check,
  hessian,
  initializers,
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

__all__ = [
  'activations',
  'base',
  'claims',
  'datasets',
  'experiment',
  'gradient_check',
  'hessian',
  'initializers',
  'keys',
  'losses',
  'mlp',
  'networks',
  'probes',
  'stats',
  'theory',
  'training',
]
