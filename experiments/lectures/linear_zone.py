"""A network whose sigmoid units stay in their linear zone.

Question:
  Near 0 the sigmoid is almost a straight line. Is a network of which every unit
  stays there any better than a linear model?
Paper:
  365 Data Science, Deep Learning with TensorFlow 2, "Initialization" (a sigmoid
  that is used where it is linear makes the network a linear one).
Run:
  python -m experiments.lectures.linear_zone
Takes:
  15 seconds on two CPU cores (32 seeds of 1000 steps, two scales).
Expect:
  No linear model has a loss below ln 2 = 0.6931 on the exclusive or. From small
  weights a network stays within 0.001 of that for some 200 steps, as long as
  all its units are in the linear zone. Once they leave it, the network learns.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import claims, datasets, experiment, initializers, keys, launch
from initlab import losses, mlp, panels, stats, training
from initlab.experiment import PerNetwork, PerStep, knob

from .zones import LINEAR, LINEAR_ERROR

EXTREMES = 'zone_loss', 'zone_excess', 'zone_bound'
LINEAR_LOSS = float(np.log(2))  # of the best linear model, by symmetry


@experiment.config
class Config:
  """A network 2-units-2 of sigmoid units, without biases at first."""

  scale: float = knob(0.1, 'weights are U[-scale, scale)', above=0, traced=True)
  units: int = knob(20, 'in the hidden layer', least=1, most=2**20)
  learning_rate: float = knob(1.0, 'of gradient descent', above=0, traced=True)
  steps: int = knob(1000, 'the number of steps', least=1, most=2**20)

  def draw(self, key):
    """The two layers."""
    initializer = initializers.ng_epsilon(self.scale)
    return mlp.init(keys.stream(key, 'init'), (2, self.units, 2), initializer)


SMOKE = Config(units=3, steps=10)
SWEEP = {'scale': (0.1, 3)}


class Result(NamedTuple):
  """Zone steps are those at which every unit is in the zone on every example.

  mean_loss: mean loss of the four examples.
  linear: share of units and examples in the zone.
  zone_loss: the lowest loss of all zone steps; NaN if there is none.
  zone_excess: the largest of all zone steps of |d - d'| over its bound, where d
    is the difference of the two logits and d' that of the network with 1/2 +
    s/4 in place of sigmoid(s). The bound is 0.0101 sum_j |v_j1 - v_j2|, v the
    output weights.
  zone_bound: the largest bound of all zone steps.
  final_loss, final_linear: after the last step.
  """

  mean_loss: PerStep
  linear: PerStep
  zone_loss: PerNetwork
  zone_excess: PerNetwork
  zone_bound: PerNetwork
  final_loss: PerNetwork
  final_linear: PerNetwork


def load(config, data_dir):
  """The four points of {-1, 1}^2, the label their exclusive or."""
  del config
  points = datasets.DATASETS['xor'].split('train', None, data_dir)
  return points._replace(x=2 * points.x - 1)


def compare(params, batch):
  """A network beside the one with 1/2 + s/4 for sigmoid(s), as in Result."""
  s, logits = mlp.trace(params, batch.x, jax.nn.sigmoid).pre
  straight = mlp.apply(params, batch.x, lambda s: 0.5 + 0.25 * s)
  between = lambda x: x[:, 1] - x[:, 0]
  gap = jnp.max(jnp.abs(between(logits) - between(straight)))
  bound = LINEAR_ERROR * jnp.sum(jnp.abs(between(params[1].w)))
  return {
    'mean_loss': jnp.mean(jax.vmap(losses.cross_entropy)(logits, batch.y)),
    'linear': jnp.mean((jnp.abs(s) <= LINEAR).astype(s.dtype)),
    'excess': gap / bound,
    'bound': bound,
  }


def watch(config, network, moved, batch, kept, step):
  """Keeps the extremes of the zone steps."""
  del config, moved, step
  now = compare(network.params, batch)
  inside = lambda value: jnp.where(now['linear'] == 1, value, jnp.nan)
  return {
    'zone_loss': jnp.fmin(kept['zone_loss'], inside(now['mean_loss'])),
    'zone_excess': jnp.fmax(kept['zone_excess'], inside(now['excess'])),
    'zone_bound': jnp.fmax(kept['zone_bound'], inside(now['bound'])),
  }


def record(config, network, batch, kept):
  """The loss and the share of the linear zone."""
  del config, kept
  now = compare(network.params, batch)
  return {
    'mean_loss': now['mean_loss'],
    'linear': now['linear'],
    'final_loss': now['mean_loss'],
    'final_linear': now['linear'],
  }


TRAINING = training.of_networks(
  Result,
  record,
  objective=lambda config: mlp.objective(jax.nn.sigmoid, losses.cross_entropy),
  every=lambda config: max(1, config.steps // 50),
  before=lambda *_: dict.fromkeys(EXTREMES, jnp.float32(jnp.nan)),
  watch=watch,
)


def verdict(outcome):
  """The loss in the linear zone, and after training."""
  mean = functools.partial(stats.average, outcome)
  lines = [
    f'after training the loss is {mean("final_loss")} nats, with '
    f'{mean("final_linear"):%} of the units in the linear zone'
  ]
  if np.isfinite(outcome.measured['zone_loss']).any():
    lines.append(
      f'with every unit in the zone its minimum is {mean("zone_loss")}; that '
      f'of the best linear model is {LINEAR_LOSS:.5f}'
    )
  return lines


@claims.claim(
  'lecture 8, no better than linear',
  '365 Data Science, Deep Learning with TensorFlow 2, initialization',
)
def no_better(outcomes):
  """A network of sigmoid units in their linear zone is no better than a linear
  model.

  The cross entropy changes by no more than the difference of the logits does,
  and that of the linear network is at least ln 2.

  Holds if every seed stays within the bound of the linear network, and its loss
  above ln 2 less the bound, up to float32: 1e-6 of a loss and, the gap being
  the difference of logits of about 1, 1e-6 over the bound of the excess; and if
  the interval of what seeds gain in the zone, over what they gain in all, lies
  below a twentieth, which is the error of the straight line, 0.0101, over its
  rise in the zone, 0.2.

  Untested if fewer than five seeds start in the zone and leave it.
  """
  settings = claims.every(outcomes)
  of = lambda field: np.concatenate([x.measured[field] for x in settings])
  loss, final = of('zone_loss'), of('final_loss')
  stayed = np.isfinite(loss)
  left = stayed & (of('final_linear') < 1)
  if left.sum() < stats.FEWEST:
    raise claims.Untested(
      f'fewer than {stats.FEWEST} seeds start in the linear zone and leave it'
    )
  share = claims.mean((LINEAR_LOSS - loss[left]) / (LINEAR_LOSS - final[left]))
  loss, excess, bound = (of(field)[stayed] for field in EXTREMES)
  holds = (excess <= 1 + 1e-6 / bound).all()
  holds &= (loss >= LINEAR_LOSS - bound - 1e-6).all()
  return claims.finding(
    bool(holds and share.high < 0.05),
    f'{stayed.sum()} seeds start in the zone: lowest loss {loss.min():.4f}, at '
    f'most {excess.max():.2f} of the bound from a linear network; '
    f'{left.sum()} leave it, after {share:%} of their gain',
  )


PANELS = (
  panels.Curves('mean_loss', 'Loss of the exclusive or', 'nats'),
  panels.Curves('linear', 'Units in the linear zone', 'share of units'),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'lanes': '16'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
