"""Very deep rectifier networks: He's weights against Xavier's.

Question:
  A layer of ReLUs halves what Xavier's weights carry. Can they train 30 layers?
Paper:
  He, Zhang, Ren & Sun, Delving deep into rectifiers, 2015, section 2.2 and
  figures 2 and 3: there, convolutional networks on ImageNet.
Run:
  python -m experiments.atlas.rectifier_depth --depth=29
Takes:
  A minute on two CPU cores (4 settings of 6 seeds).
Expect:
  With 30 layers of weights the output of Xavier's network is 2^-15 times that
  of He's, and it stays at the loss of the class prior, 2.1 nats on Shapeset;
  He's learns. Xavier's stalls with 22 layers, too, unlike the paper's.
"""

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import base, claims, datasets, experiment, functions, keys
from initlab import launch, losses, minibatches, networks, panels, stacked
from initlab import stats, training
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, PerStep, knob

_LEARNED = 0.05  # nats below the class prior from which a network has learned
_STALLED = 0.02  # nats from the class prior within which it has not
_ROUNDING = 1e-4  # 30 layers of 128 random roundings of 2^-24 add up to 2e-5

HE = 'he_normal'
XAVIER = 'lecun_normal'  # variance 1 / n_in, as the paper takes Xavier's


@experiment.config
class Config(stacked.Network):
  """A ReLU network, and how it is trained."""

  init: functions.Named = networks.init_knob(HE)
  activation: functions.Named = networks.activation_knob('relu')
  widths: tuple[int, ...] = knob((128,), 'the hidden widths', least=1)
  depth: int = knob(29, 'hidden layers, one less than layers of weights')
  dataset: functions.Named = networks.dataset_knob('shapeset')
  loss: str = networks.loss_knob(['cross_entropy'])
  learning_rate: float = knob(0.01, 'of gradient descent', above=0, traced=True)
  batch_size: int = knob(32, 'examples of a step', least=1)
  steps: int = knob(1250, 'how many steps are taken', least=1)
  record_every: int = knob(125, 'steps between records', least=1)
  examples: int = knob(1000, 'examples that the loss is measured on', least=1)


SMOKE = Config(
  widths=(4,), depth=2, dataset='xor', examples=4, batch_size=2, steps=4
)
SWEEP = {'init': (HE, XAVIER), 'depth': (21, 29)}


class Result(NamedTuple):
  """Before the training and in it; NaN from where a seed diverges.

  rms: root mean square of the pre-activations of each layer, at first.
  output_rms: that of the output.
  gradient_norm: |dC/dw| of each layer, at first.
  mean_loss, final_loss: of the examples, and that after the last step.
  """

  rms: Annotated[PerLayer, GEOMETRIC]
  output_rms: Annotated[PerNetwork, GEOMETRIC]
  gradient_norm: Annotated[PerLayer, GEOMETRIC]
  mean_loss: PerStep
  final_loss: PerNetwork


load = networks.load('train')


def examples(config: Config, key, data):
  """Fresh minibatches, or those of the examples of a finite data set."""
  draw, key = datasets.resolve(config.dataset).draw, keys.stream(key, 'data')
  return minibatches.examples(key, draw, data, config.batch_size)


def before(config: Config, key, params, data):
  """The signals of the initial network."""
  del key
  layers = stacked.layers(params)
  signals = networks.signals(config, layers, data)
  rms = jnp.stack([jnp.sqrt(jnp.mean(s**2)) for s in signals.pre])
  return networks.probed(config, layers, data, ['gradient_norm']) | {
    'rms': rms,
    'output_rms': rms[-1],
  }


def record(config: Config, network, data, kept):
  """The loss of the examples."""
  del kept
  loss, _ = stacked.evaluate(config, network.params, data)
  return {'mean_loss': loss, 'final_loss': loss}


TRAINING = training.of_networks(
  Result, record, before=before, objective=stacked.objective, examples=examples
)


def predict(config: Config, data: base.Batch) -> dict[str, float]:
  """The least loss of a constant answer, in nats."""
  return {'prior': losses.prior_entropy(data.y)}


def verdict(outcome):
  """The loss at the end, beside that of a constant answer."""
  loss, prior = stats.average(outcome, 'final_loss'), outcome.predicted['prior']
  return [f'loss {loss} nats, class prior {prior:.4f}']


@claims.claim('atlas 5, ratio', 'He et al., 2015, section 2.2')
def ratio(outcomes):
  """In L layers Xavier's weights shrink the signal to 2^(-L/2) of He's.

  Both draw the same numbers, so this is exact but for rounding.

  Holds if at every depth and in every seed the rms of the output from Xavier's
  weights is 2^(-L/2) times that from He's, to a relative 1e-4.

  Untested if the run has not both at one depth.
  """
  off, told = [], []
  for xavier in claims.every(outcomes, init=XAVIER):
    layers = xavier.config.depth + 1
    he = claims.one(outcomes, init=HE, depth=xavier.config.depth)
    found = xavier.measured['output_rms'] / he.measured['output_rms']
    off.append(np.max(np.abs(found * 2 ** (layers / 2) - 1)))
    told.append(f'{layers} layers: {found.mean():.6g}, off by {off[-1]:.1e}')
  return claims.finding(max(off) <= _ROUNDING, '; '.join(told))


def _pair(outcomes, layers):
  """He's and Xavier's networks of so many layers of weights."""
  each = {'depth': layers - 1}
  return [claims.one(outcomes, init=init, **each) for init in (HE, XAVIER)]


def _learns(outcome):
  found = claims.mean(outcome.measured['final_loss'])
  return bool(found.high < outcome.predicted['prior'] - _LEARNED)


@claims.claim('atlas 5, 22 layers', 'He et al., 2015, figure 2')
def both_learn(outcomes):
  """With 22 layers both learn, and He's sooner.

  Holds if the interval of the final loss lies more than 0.05 nats below the
  class prior with both, and that of the difference of the losses, averaged over
  the records after step 0 and paired by seed, shows He's lower.

  Untested if the run has not both with 22 layers.
  """
  he, xavier = _pair(outcomes, 22)
  later = [each.measured['mean_loss'][:, 1:].mean(1) for each in (he, xavier)]
  lead = claims.mean(later[0] - later[1])
  ends = [claims.mean(each.measured['final_loss']) for each in (he, xavier)]
  return claims.finding(
    _learns(he) and _learns(xavier) and lead.high < 0,
    f'He {ends[0]}, Xavier {ends[1]}, class prior '
    f'{he.predicted["prior"]:.4f}; on average He is ahead by {lead}',
  )


@claims.claim('atlas 5, 30 layers', 'He et al., 2015, figure 3')
def one_learns(outcomes):
  """With 30 layers He's network learns, and Xavier's stalls completely.

  Holds if the interval of the final loss lies more than 0.05 nats below the
  class prior with He's weights, and with Xavier's holds values within 0.02 of
  it, half of it being no wider than that.

  Untested if the run has not both with 30 layers.
  """
  he, xavier = _pair(outcomes, 30)
  prior = he.predicted['prior']
  ends = [claims.mean(each.measured['final_loss']) for each in (he, xavier)]
  stalls = claims.agrees(ends[1], prior, within=_STALLED, slack=_STALLED)
  return claims.finding(
    claims.together([_learns(he), stalls]),
    f'He {ends[0]}, Xavier {ends[1]}, class prior {prior:.4f}',
  )


PANELS = (
  panels.Curves('mean_loss', 'Loss of fresh examples', 'mean loss, nats'),
  panels.Depth('rms', 'Pre-activations at first', 'rms of s', log=True),
  panels.Depth('gradient_norm', 'Gradients at first', '|dC/dw|', log=True),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:6'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
