"""Which initialization for which network: the map of schemes and activations.

Question:
  Of the weights in use, which keep the signal, which keep the gradient, and
  which let a network learn, for each activation, shallow and deep?
Paper:
  Glorot & Bengio 2010; Saxe, McClelland & Ganguli 2014; He et al. 2015;
  Schoenholz et al. 2017; Klambauer et al. 2017.
Run:
  python -m experiments.atlas.schemes --activation=tanh,relu --depth=5
Takes:
  12 minutes on two CPU cores (400 settings of 16 seeds, 100 compiled programs:
  gains share one).
Expect:
  At 50 layers a gain of sqrt(2) keeps the signal of rectifiers, 1 that of selu.
  Deep relu, gelu and tanh learn best from looks_linear, selu from orthogonal.

At one width a scheme of independent weights is a distribution and a gain,
Var[w] = gain^2 / n_in: with uniform weights 0.577 is `standard` and PyTorch's
default without its biases, 1 is Glorot's and LeCun's, and 1.414 is He's.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, experiment, functions, keys, launch, minibatches
from initlab import mlp, networks, optimizers, panels, probes, stacked, stats
from initlab import training
from initlab.experiment import GEOMETRIC, PerNetwork, knob

from . import claims_schemes, ranks


@experiment.config
class Config(networks.Network):
  """A network of one width, its scheme, and a short training."""

  init: functions.Named = networks.init_knob('lecun_normal')
  widths: tuple[int, ...] = knob((64,), 'the hidden width', least=1)
  depth: int = knob(50, 'hidden layers', least=2, most=1000)
  dataset: functions.Named = networks.dataset_knob('digits')
  learning_rate: float = knob(
    0.3, 'the largest rate of gradient descent', above=0, traced=True
  )
  rates: int = knob(
    3, 'how many rates are tried, each a tenth of the one before', least=1
  )
  batch_size: int = knob(32, 'examples of a step', least=1)
  steps: int = knob(50, 'how many steps are taken', least=1)
  examples: int = knob(500, 'training examples', least=1)
  probed: int = knob(100, 'examples for signal and gradient', least=2)

  def check(self) -> None:
    """Refuses more than one width."""
    super().check()
    if len(self.widths) > 1:
      given = experiment.written(self.widths)
      raise base.UserError(f'--widths={given}: it takes one width')


SMOKE = Config(
  widths=(4,), depth=3, dataset='xor', examples=4, batch_size=2, steps=3
)
SWEEP = {
  'init': claims_schemes.FAMILIES,
  'gain': claims_schemes.GAINS,
  'activation': (
    *('sigmoid', 'tanh', 'softsign', 'relu', 'leaky_relu'),
    *('elu', 'selu', 'gelu', 'silu', 'softplus'),
  ),
  'depth': (5, 50),
}


class Result(NamedTuple):
  """Of one seed, before and after training.

  signal_kept: the standard deviation of z over examples, within units, of the
    last hidden layer over that of the first.
  gradient_kept: that of dC/ds of the first over that of the last.
  mean_loss: that of the training examples after the last step, at the best of
    the rates; NaN if the seed diverges at all of them.
  diverged: the share of the rates at which the seed diverges.
  """

  signal_kept: Annotated[PerNetwork, GEOMETRIC]
  gradient_kept: Annotated[PerNetwork, GEOMETRIC]
  mean_loss: Annotated[PerNetwork, GEOMETRIC]
  diverged: PerNetwork


load = networks.load('train')


def trace(config: Config, network: stacked.Stacked, x, taps=(0.0, 0.0)):
  """Outputs of the first and last hidden layers (taps added), and logits."""
  activation, affine = networks.activation(config), stacked.affine
  lowest = z = activation(affine(network.first, x) + taps[0])
  below = jax.tree.map(lambda leaf: leaf[:-1], network.middle)
  top = jax.tree.map(lambda leaf: leaf[-1], network.middle)
  climb = lambda z, each: (activation(affine(each, z)), None)
  z, _ = jax.lax.scan(climb, z, below)
  z = activation(affine(top, z) + taps[1])
  return lowest, z, affine(network.last, z)


def mean_loss(config: Config, network: stacked.Stacked, batch: base.Batch):
  """The mean loss of a batch."""
  logits = trace(config, network, batch.x)[2]
  return mlp.mean_loss(logits, batch.y, networks.loss(config))


def kept(config: Config, network: stacked.Stacked, batch: base.Batch):
  """The two ratios of Result at the start, signal and gradient."""

  def summed(taps):
    *post, logits = trace(config, network, batch.x, taps)
    losses = jax.vmap(networks.loss(config))(logits, batch.y)
    return losses.sum(), (tuple(post), losses)

  taps = tuple(jnp.zeros((len(batch.x), config.widths[0])) for _ in range(2))
  gradient, (post, losses) = jax.grad(summed, has_aux=True)(taps)
  signals = base.Signals(batch.x, post, post, gradient, losses)
  z = probes.activation_within_std((), None, signals)
  slope = probes.gradient_within_std((), None, signals)
  return z[1] / z[0], slope[0] / slope[1]


def run(config: Config, key: base.Key, data: base.Batch) -> Result:
  """Draws a network, probes it, and trains it at every rate."""
  network = stacked.of_layers(config.draw(key))
  shown = jax.tree.map(lambda leaf: leaf[: config.probed], data)
  signal, gradient = kept(config, network, shown)
  batches = minibatches.shuffled(
    keys.stream(key, 'data'), data, config.batch_size
  )
  objective = lambda network, batch: mean_loss(config, network, batch)
  steps = jnp.int32(config.steps)

  def trained(rate):
    descent = optimizers.descent(rate)
    state = training.start(network, descent)
    state = training.advance(
      *(objective, descent, batches, state, jnp.int32(0), steps),
      every=config.steps,
    )
    final = mean_loss(config, state.params, data)
    sound = (state.diverged_step < 0) & jnp.isfinite(final)
    return jnp.where(sound, final, jnp.inf)

  factors = jnp.asarray([0.1**power for power in range(config.rates)])
  ends = jax.lax.map(trained, config.learning_rate * factors)
  least = jnp.min(ends)
  return Result(
    signal_kept=signal,
    gradient_kept=gradient,
    mean_loss=jnp.where(jnp.isfinite(least), least, jnp.nan),
    diverged=jnp.mean(jnp.isinf(ends).astype(least.dtype)),
  )


def verdict(outcome):
  """What is kept at the start, and the loss."""
  signal, gradient, loss, lost = (
    stats.average(outcome, field) for field in Result._fields
  )
  return [
    f'signal kept: {signal}; gradient kept: {gradient}; loss after '
    f'{outcome.config.steps} steps: {loss}; diverged at {lost:%} of the rates'
  ]


tables = ranks.tables_of
_MAP = {'x': 'activation', 'y': ('init', 'gain')}
PANELS = (
  panels.Map('mean_loss', 'Loss after training', 'loss', log=True, **_MAP),
  panels.Map('signal_kept', 'Signal kept', 'ratio', log=True, **_MAP),
  panels.Map('gradient_kept', 'Gradient kept', 'ratio', log=True, **_MAP),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_schemes.MAP, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
