"""Does the best learning rate of a shallow transformer serve a deep one?

Question:
  The learning rate is tuned at one depth. Where is the best rate at another, if
  residual branches are multiplied by (base depth / depth)^a?
Paper:
  Dey et al., Don't be lazy: CompleteP enables compute-efficient deep
  transformers, 2025, figure 2 and table 1. The table was read in the authors'
  repository (nanoGPT-mup); of the figure what the abstract says: the best rate
  is fixed with a = 1, and with other rules it is not.
Run:
  python -m experiments.atlas.depth_transfer --exponent=0,1
Takes:
  Two minutes on two CPU cores (54 settings of 8 seeds).
Expect:
  With a = 1, CompleteP, the loss at a small rate is the same at any depth, and
  the best rate falls by a quarter of an octave for each octave of depth in so
  short a training. Without factors of depth, a = 0, it falls by half of one.
"""

from collections.abc import Hashable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from initlab import base, experiment, keys, launch, optimizers, panels
from initlab.experiment import GEOMETRIC, PerNetwork, knob
from initlab.models import languages, parametrization, transformer

from . import claims_depth, language_training

_EPSILON = 1e-8  # of Adam, at the base depth
_HEAD = 16  # units of a head, as many at any width


@experiment.config
class Config:
  """A transformer that learns to copy, in muP at its base width."""

  exponent: float = knob(
    1.0,
    'a: branches are multiplied by (base depth / depth)^a, in the blocks rates '
    "by (depth / base depth)^(a - 1) and Adam's epsilon by (depth / base "
    'depth)^(-a). 1 is CompleteP; 0 stands for muP, whose rates have no factor '
    'of depth',
    least=0,
    most=1,
    traced=True,
  )
  depth: int = knob(2, 'blocks of attention and a feed-forward layer', least=1)
  base_depth: int = knob(2, 'the depth at which all exponents agree', least=1)
  width: int = knob(32, f'the units of the stream, {_HEAD} a head', least=_HEAD)
  symbols: int = knob(8, 'how many symbols the language has', least=2)
  size: int = knob(4, 'of the word that is copied', least=1)
  learning_rate: float = knob(
    0.01, 'of Adam, at the base depth: the peak', above=0, traced=True
  )
  schedule: str = knob(
    'warmup_cosine', 'the learning-rate schedule', optimizers.SCHEDULES
  )
  batch_size: int = knob(16, 'sequences of a step', least=1)
  steps: int = knob(60, 'how many steps are taken', least=1)

  def check(self) -> None:
    """Refuses units that do not make whole heads."""
    if self.width % _HEAD:
      raise base.UserError(f'--width={self.width}: a multiple of {_HEAD}')

  def language(self) -> languages.Language:
    """Where the sequences come from."""
    return languages.copying(self.symbols, self.size)

  def draw(self, key: base.Key) -> Any:
    """The parameters at first."""
    language = self.language()
    sizes = transformer.Config(
      language.vocabulary,
      language.length,
      width=self.width,
      heads=self.width // _HEAD,
      blocks=self.depth,
    )
    return transformer.init(keys.stream(key, 'init'), sizes)

  def loss(self, params: Any, sequences: languages.Sequences) -> base.Array:
    """The mean loss of a batch."""
    branch = parametrization.branch(
      (self.width, self.depth), (self.width, self.base_depth), self.exponent
    )
    logits = transformer.apply(
      params, sequences.tokens, attention_exponent=1.0, branch=branch
    )
    return languages.loss(logits, sequences)

  def optimizer(self) -> optax.GradientTransformationExtraArgs:
    """Adam, with a rate and an epsilon for the blocks."""
    factor = optimizers.SCHEDULES[self.schedule](self.steps)

    def adam(rate, epsilon):
      peak = self.learning_rate * rate
      schedule = lambda count: peak * factor(count.astype(float))
      return optax.adam(schedule, eps=_EPSILON * epsilon)

    rate, epsilon = parametrization.depth_factors(
      self.depth / self.base_depth, self.exponent
    )
    rate = jnp.where(jnp.equal(self.exponent, 0), 1.0, rate)
    kinds: dict[Hashable, optax.GradientTransformation] = {
      'blocks': adam(rate, epsilon),
      'rest': adam(1.0, 1.0),
    }
    return optimizers.promoting(optax.multi_transform(kinds, _kinds))


def _kinds(params: Any) -> Any:
  """Of each leaf, whether it belongs to the blocks."""
  kinds = jax.tree.map(lambda _: 'rest', params)
  return kinds | {'blocks': jax.tree.map(lambda _: 'blocks', params['blocks'])}


SMOKE = Config(
  depth=3, base_depth=1, width=16, symbols=2, size=1, batch_size=2, steps=2
)
SWEEP = {
  'exponent': (0.0, 0.5, 1.0),
  'depth': (2, 4, 16),
  'learning_rate': tuple(2.0**power for power in range(-7, -1)),
}


class Result(NamedTuple):
  """After the last step; NaN if a seed diverges.

  mean_loss: the mean loss of 256 sequences that were not trained on.
  """

  mean_loss: Annotated[PerNetwork, GEOMETRIC]


load = language_training.load
TRAINING = language_training.training_of(
  Result, lambda config: config.batch_size
)
verdict = language_training.verdict

PANELS = (
  panels.Sweep(
    'mean_loss', 'Loss against the rate', 'loss', knob='learning_rate', log=True
  ),
  panels.Sweep(
    'mean_loss',
    'Loss at the best rate against the depth',
    'loss',
    knob='depth',
    log=True,
    tuned=('learning_rate', 'mean_loss'),
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_depth.CLAIMS, defaults={'seeds': '0:8'}
)


if __name__ == '__main__':
  launch.main(EXPERIMENT)
