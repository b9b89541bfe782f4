"""How long the output of a ReLU network is: a log-normal variable.

Question:
  He's weights keep the mean square length of a signal. How far is the length of
  one network from it?
Paper:
  Hanin & Nica, Products of many large random matrices and gradients in deep
  neural networks, 2019, theorem 1; Hanin & Rolnick, How to start training: the
  effect of initialization and architecture, 2018, figure 1.
Run:
  python -m experiments.atlas.log_normal --width=100 --depth=20
Takes:
  Half a minute on two CPU cores (2000 networks of each of four shapes).
Expect:
  The logarithm of the squared length has the variance b = 5 sum 1/n, 1.04 of 20
  layers of 100 units to all orders, and the mean -b/2: the typical network
  shrinks the signal, a few make it long. 10 layers of 50 units do the same.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, finite_width, keys, launch, panels
from initlab import stats
from initlab.experiment import PerLayer, PerNetwork, knob


@experiment.config
class Config:
  """A ReLU network with He's normal weights, at its initialization."""

  width: int = knob(100, 'units a layer, inputs included', least=7)
  depth: int = knob(20, 'how many layers', least=1)


SMOKE = Config(width=7, depth=3)
SWEEP = {'width': (50, 100), 'depth': (10, 20)}


class Result(NamedTuple):
  """Lengths of one signal, |h|^2 of each layer over |x|^2.

  log_length: ln |h_l|^2.
  scatter: (ln |h_l|^2 - E ln |h_l|^2)^2, whose mean over networks is the
    variance.
  last_scatter: that of the last layer.
  last_log_length: ln |h|^2 of the last layer.
  length_square: |h|^4 of the last layer, whose mean is the fourth-moment ratio
    E |h|^4 / (E |h|^2)^2, since E |h|^2 = |x|^2.
  """

  log_length: PerLayer
  scatter: PerLayer
  last_scatter: PerNetwork
  last_log_length: PerNetwork
  length_square: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """Sends one signal through one network; NaN where no unit is active."""
  del data
  n = config.width

  def layer(h, index):
    """Up by a layer, |h| kept at 1, with ln |h_l|^2 - ln |h_{l-1}|^2."""
    drawn = keys.stream(keys.at(keys.stream(key, 'init'), index), 'w')
    w = jnp.sqrt(2 / n) * jax.random.normal(drawn, (n, n))
    h = jax.nn.relu(h @ w)
    square = jnp.sum(h**2)
    return h / jnp.sqrt(square), jnp.log(square)

  indices = jnp.arange(1, config.depth + 1, dtype=jnp.uint32)
  _, steps = jax.lax.scan(layer, jnp.ones(n) / n**0.5, indices)
  log_length = jnp.cumsum(steps)
  expected = _step(config).drift * np.arange(1, config.depth + 1)
  scatter = (log_length - expected) ** 2
  return Result(
    log_length=log_length,
    scatter=scatter,
    last_scatter=scatter[-1],
    last_log_length=log_length[-1],
    length_square=jnp.exp(2 * log_length[-1]),
  )


def _step(config: Config) -> finite_width.Walk:
  """The step of ln |h|^2 in a layer with He's weights."""
  return finite_width.walk(config.width, 'relu', 2**0.5)


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """The exact walk, and the exact fourth-moment ratio."""
  del data
  layers = np.arange(1, config.depth + 1)
  step, widths = _step(config), [config.width] * config.depth
  return {
    'log_length': step.drift * layers,
    'scatter': step.variance * layers,
    'last_scatter': np.asarray(step.variance * config.depth),
    'last_log_length': np.asarray(step.drift * config.depth),
    'length_square': np.asarray(finite_width.fourth_moment_ratio(widths)),
  }


def verdict(outcome):
  """Mean and variance of the logarithm, and what the paper says."""
  config = outcome.config
  law = finite_width.log_normal([config.width] * config.depth)
  mean, variance = (
    stats.average(outcome, field)
    for field in ('last_log_length', 'last_scatter')
  )
  return [
    f'ln |h|^2 has mean {mean} and variance {variance}; to first order in 1/n '
    f'{law.mean:.4g} and {law.variance:.4g}'
  ]


HANIN_NICA = 'Hanin & Nica, 2019, theorem 1'
HANIN_ROLNICK = 'Hanin & Rolnick, 2018, theorem 5 and figure 1'


@claims.claim('atlas 6, log-normal', HANIN_NICA)
def log_normal(outcomes):
  """ln |h|^2 is normal with variance b = 5 sum 1/n and mean -b/2.

  The law is of the first order in 1/n, so it may be off by a share of
  10/n; the exact variance at 20 layers of 100 units is 1.04 b.

  Holds if in all settings the intervals of the mean and of the variance hold
  values within that share of b of the law's, half an interval being at most a
  quarter of b; and that of the share of networks within a standard deviation of
  the mean, which is 68.3% of a normal variable, a value within 2 points of it.

  Untested if no setting has 50 units a layer or more.
  """
  wide = [each for each in outcomes if each.config.width >= 50]
  if not wide:
    raise claims.Untested('no setting of 50 units a layer')
  held, told = [], []
  for each in wide:
    n, depth = each.config.width, each.config.depth
    law = finite_width.log_normal([n] * depth)
    slack, within = 10 / n * law.variance, law.variance / 4
    for field, value in (
      ('last_log_length', law.mean),
      ('last_scatter', law.variance),
    ):
      found = claims.mean(each.measured[field], 3 * len(wide))
      held.append(claims.agrees(found, value, within=within, slack=slack))
      told.append(f'{each.label}: {field} {found}, law {value:.4g}')
    scatter = each.measured['last_scatter']
    near = claims.share(scatter < each.predicted['last_scatter'], 3 * len(wide))
    held.append(claims.agrees(near, 0.683, within=0.05, slack=0.02))
    told.append(f'within a standard deviation {near:%}')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim('atlas 6, fourth moment', HANIN_ROLNICK)
def fourth_moment(outcomes):
  """E |h|^4 / (E |h|^2)^2 is the product of 1 + 5/n over the layers.

  Holds if in all settings of b = 5 sum 1/n up to 1 the interval of |h|^4 holds
  the product, and half of it is at most half the product.

  Untested if no setting has so small a b.
  """
  cells = [
    each for each in outcomes if 5 * each.config.depth / each.config.width <= 1
  ]
  if not cells:
    raise claims.Untested('no setting with 5 sum 1/n up to 1')
  held, told = [], []
  for each in cells:
    found = claims.mean(each.measured['length_square'], len(cells))
    value = float(each.predicted['length_square'])
    held.append(claims.agrees(found, value, within=value / 2))
    told.append(f'{each.label}: {found}, theory {value:.4g}')
  return claims.finding(claims.together(held), '; '.join(told))


PANELS = (
  panels.Seeds('last_log_length', 'Length of the output', 'ln |h|^2'),
  panels.Depth(
    'log_length', 'Mean of ln |h|^2', 'mean of ln |h|^2', over='layer'
  ),
  panels.Depth(
    'scatter', 'Variance of ln |h|^2', 'variance of ln |h|^2', over='layer'
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:2000'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
