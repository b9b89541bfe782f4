"""Which deep transformers learn: the trainability diagram, trained.

Question:
  Tokens become alike if the logits of attention are small and its residual is
  weak; queries attend to a few keys if the logits are large. Do transformers
  that start in either region learn less than those that start between?
Paper:
  Giorlandino & Goldt, Two failure modes of deep transformers and how to avoid
  them, 2025, whose encoders of 60 layers learn masked words of stories. The
  lines come from the authors' repository, the figure was not read.
Run:
  python -m experiments.atlas.attention_training --beta=0.5,4 --residual=0.5,2
Takes:
  Two and a half minutes on two CPU cores (32 settings of 6 seeds).
Expect:
  Between the lines the mean loss falls from 2.8 to 0.8 nats, beyond them to 2.5
  and 2.7. Just above the critical beta a strong residual still lets networks
  learn, as much as the slowest of those between.
"""

import dataclasses
from typing import Any, NamedTuple

import optax

from initlab import base, experiment, launch, optimizers, panels
from initlab.experiment import PerNetwork, knob
from initlab.models import languages, transformer

from . import attention_collapse, claims_attention
from . import claims_attention_training, language_training


@experiment.config
class Config(attention_collapse.Config):
  """An encoder that learns to tell the token half a sequence away."""

  width: int = knob(32, 'the units of the stream', least=4)
  tokens: int = knob(16, 'the length of a sequence, even', least=2)
  blocks: int = knob(12, 'attention and a feed-forward layer, each', least=2)
  sequences: int = knob(16, 'drawn for a step', least=1)
  symbols: int = knob(16, 'how many symbols the language has', least=2)
  learning_rate: float = knob(
    0.001, 'the learning rate of Adam', above=0, traced=True
  )
  steps: int = knob(120, 'how many steps are taken', least=1)

  def check(self) -> None:
    """Refuses a length that has no half."""
    super().check()
    with experiment.blaming(self, 'tokens'):
      self.language()

  def language(self) -> languages.Language:
    """Where the sequences come from."""
    return languages.opposites(self.symbols, self.tokens)

  def sizes(self) -> transformer.Config:
    """Of the transformer, whose words are the symbols."""
    return dataclasses.replace(super().sizes(), vocabulary=self.symbols)

  def loss(self, params: Any, sequences: languages.Sequences) -> base.Array:
    """The mean loss of a batch."""
    logits = transformer.apply(params, sequences.tokens, **self.options())
    return languages.loss(logits, sequences)

  def optimizer(self) -> optax.GradientTransformationExtraArgs:
    """Adam."""
    return optimizers.promoting(optax.adam(self.learning_rate))


SMOKE = Config(width=4, tokens=4, blocks=2, symbols=2, sequences=2, steps=2)
SWEEP = {
  'beta': (0.5, 1.0, 2.0, 4.0),
  'residual': (0.25, 0.5, 1.0, 2.0),
  'learning_rate': (0.001, 0.003),
}


class Result(NamedTuple):
  """After the last step; NaN if a seed diverges.

  mean_loss: the mean loss of 256 sequences that were not trained on.
  """

  mean_loss: PerNetwork


load = language_training.load
TRAINING = language_training.training_of(
  Result, lambda config: config.sequences
)
verdict = language_training.verdict

PANELS = (
  panels.Map(
    'mean_loss',
    'Loss after training, at the better rate',
    'loss',
    x='residual',
    y='beta',
    lines=(claims_attention.rank_collapse, claims_attention.critical_beta),
    tuned=('learning_rate', 'mean_loss'),
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_attention_training.CLAIMS, defaults={'seeds': '0:6'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
