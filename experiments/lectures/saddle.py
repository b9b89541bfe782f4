"""Weights of zero are a saddle point: only the last bias moves.

Question:
  Why does a network not learn from zeros, and is it stuck at a minimum?
Paper:
  Hugo Larochelle, parameter initialization: with tanh and weights of zero all
  gradients are zero. Andrew Ng, random initialization.
Run:
  python -m experiments.lectures.saddle --init=zeros,glorot --depth=1,2
Takes:
  Under 40 seconds on two CPU cores (2 starts, 1 and 2 hidden layers, 8 seeds).
Expect:
  From zeros every gradient but the last bias's is exactly zero, at every step,
  and the loss ends at the entropy of the classes, far above that of random
  starts. With one hidden layer the Hessian there has a negative eigenvalue, so
  descent is possible but the gradient does not show it; with two it has none.
"""

from typing import Annotated, NamedTuple

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np

from initlab import claims, experiment, functions, hessian, keys, launch
from initlab import networks, optimizers, panels, stats, training
from initlab.experiment import GEOMETRIC, PerNetwork, PerStep, knob

_CLOSE = 1e-6  # nats, or of an eigenvalue; float32 has 6e-8


@experiment.config
class Config(networks.Network):
  """A network, and its training on full batches."""

  init: functions.Named = networks.init_knob('zeros')
  widths: tuple[int, ...] = knob((16,), 'the hidden widths', least=1)
  loss: str = networks.loss_knob(['cross_entropy'])
  examples: int = knob(200, 'training examples', least=1, most=10**6)
  optimizer: str = knob('lbfgs', 'the optimizer', optimizers.OPTIMIZERS)
  learning_rate: float = knob(1.0, 'of the optimizer', traced=True)
  steps: int = knob(40, 'the number of steps', least=1, most=10**6)
  record_every: int = knob(10, 'steps between records', least=1, most=10**6)


SMOKE = Config(widths=(2,), dataset='xor', examples=4, steps=4, record_every=2)
SWEEP = {'init': ('zeros', 'glorot'), 'depth': (1, 2)}


class Result(NamedTuple):
  """The records; NaN after a seed diverges.

  mean_loss: mean loss of the examples, in nats.
  excess: loss above the entropy of the classes, the least without an input.
  gradient: the largest entry of the gradient, of all but the last bias.
  bias_gradient: the largest entry of that of the last bias.
  curvature, final_curvature: smallest eigenvalue of the Hessian, and its last.
  """

  mean_loss: PerStep
  excess: PerStep
  gradient: Annotated[PerStep, GEOMETRIC]
  bias_gradient: Annotated[PerStep, GEOMETRIC]
  curvature: PerStep
  final_curvature: PerNetwork


load = networks.load('train')


def record(config: Config, network, batch, kept):
  """Loss, gradient and Hessian of one network."""
  del kept
  objective = lambda params: networks.objective(config)(params, batch)
  loss, gradient = jax.value_and_grad(objective)(network.params)
  *below, (last_w, last_b) = gradient
  others, _ = flatten_util.ravel_pytree((below, last_w))
  labels = jax.nn.one_hot(batch.y, config.layer_widths()[-1], dtype=float)
  key = keys.stream(keys.root(0), 'curvature')
  curvature = hessian.extremes(objective, network.params, key)[0]
  return {
    'mean_loss': loss,
    'excess': loss - jnp.sum(jax.scipy.special.entr(jnp.mean(labels, 0))),
    'gradient': jnp.max(jnp.abs(others)),
    'bias_gradient': jnp.max(jnp.abs(last_b)),
    'curvature': curvature,
    'final_curvature': curvature,
  }


TRAINING = training.of_networks(Result, record, optimizer=optimizers.of_config)


def predict(config: Config, batch):
  """The smallest eigenvalue after training from zeros."""
  if (config.init, config.activation) != ('zeros', 'tanh') or config.bias:
    return {}
  _, *hidden, classes = config.layer_widths()
  lowest = hessian.lowest_at_zeros(batch, classes, len(hidden))
  return {'final_curvature': np.asarray(lowest)}


def verdict(outcome):
  """The final loss above the entropy, and the smallest eigenvalue."""
  excess = stats.mean(outcome.measured['excess'][:, -1])
  curvature = stats.mean(outcome.measured['final_curvature'])
  return [f'{excess} nats from the entropy, smallest eigenvalue {curvature}']


LAROCHELLE = 'Hugo Larochelle, Parameter initialization'


def _zeros(outcomes, least=1, most=np.inf):
  """Settings that start from zeros, with `least` to `most` hidden layers."""
  found = claims.every(outcomes, init='zeros', activation='tanh', bias=0.0)
  hidden = lambda outcome: len(outcome.config.layer_widths()) - 2
  return claims.every([x for x in found if least <= hidden(x) <= most])


@claims.claim('lecture 5, gradients', LAROCHELLE)
def gradients(outcomes):
  """From zeros, with tanh, every gradient but the last bias's is exactly 0.

  Holds if the largest entry of all others is exactly 0 at every record, and the
  last bias has a gradient before the first step. A NaN counts against it.

  Untested if zeros with tanh are not in the run, or start within 1e-6 nats of
  the entropy: at equal class frequencies no gradient is left.
  """
  found = [each.measured for each in _zeros(outcomes)]
  if np.min([each['excess'][:, 0].min() for each in found]) < _CLOSE:
    raise claims.Untested('the classes are equally frequent')
  largest = np.max([each['gradient'].max() for each in found])
  first = np.min([each['bias_gradient'][:, 0].min() for each in found])
  evidence = f'last bias from {first:.3g} on, all else at most {largest:g}'
  return claims.finding(largest == 0 and first > 0, evidence)


@claims.claim('lecture 5, prior', LAROCHELLE)
def prior(outcomes):
  """Training from zeros ends at the entropy of the classes, from random weights
  below it.

  Holds if every seed of zeros ends within 1e-6 nats of the entropy, and the
  interval of the mean excess lies below 0 for every random start.

  Untested if zeros with tanh, or random starts, are not in the run.
  """
  ends = lambda found: [each.measured['excess'][:, -1] for each in found]
  off = np.max(np.abs(ends(_zeros(outcomes))))
  others = [each for each in outcomes if each.config.init != 'zeros']
  random = list(map(claims.mean, ends(claims.every(others))))
  holds = off < _CLOSE and all(each.high < 0 for each in random)
  evidence = f'zeros {off:.2g} at most, random {", ".join(map(str, random))}'
  return claims.finding(holds, f'nats off the entropy: {evidence}')


@claims.claim('lecture 5, saddle', 'derived here')
def saddle(outcomes):
  """That is a saddle: with one hidden layer the Hessian has a negative
  eigenvalue, minus the largest singular value of inputs times errors.

  Holds if for every seed the smallest eigenvalue after training is negative and
  within 1e-6, relatively, of that of the theory, `hessian.lowest_at_zeros`.

  Untested if zeros with tanh and one hidden layer are not in the run.
  """
  found = _zeros(outcomes, most=1)
  lowest = np.stack([each.measured['final_curvature'] for each in found])
  theory = np.array([[each.predicted['final_curvature']] for each in found])
  error, size = np.abs(lowest - theory).max(), np.abs(theory).min()
  evidence = f'eigenvalue {lowest.max():.7g}, off the theory by {error:.2g}'
  return claims.finding((lowest < 0).all() and error < _CLOSE * size, evidence)


@claims.claim('lecture 5, flat', 'derived here')
def flat(outcomes):
  """With more hidden layers it has none: the saddle is flat to second order.

  Holds if for every seed the smallest eigenvalue after training is within 1e-6
  of 0, where one hidden layer has about -1.

  Untested if zeros with tanh and two hidden layers or more are not in the run.
  """
  found = _zeros(outcomes, least=2)
  off = np.max([np.abs(each.measured['final_curvature']) for each in found])
  return claims.finding(off < _CLOSE, f'eigenvalue within {off:.2g} of zero')


PANELS = (
  panels.Curves('mean_loss', 'Loss', 'nats'),
  panels.Curves('curvature', 'Curvature', 'smallest eigenvalue'),
)
EXPERIMENT = experiment.of_module(
  __name__, defaults={'seeds': '0:8'}, dtype='float64'
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
