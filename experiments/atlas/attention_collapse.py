"""Two failure modes of deep transformers: rank collapse and entropy collapse.

Question:
  How large may the logits of attention be, and how strong must its residual
  connection be, for the tokens of a deep transformer to stay apart while
  queries attend to more than a few keys?
Paper:
  Giorlandino & Goldt, Two failure modes of deep transformers and how to avoid
  them, 2025: the trainability diagram. Its order parameters, its recursion and
  its critical beta were read in the authors' repository (theory_update_relu.py,
  deep_prop_encoder.ipynb), the figure was not.
Run:
  python -m experiments.atlas.attention_collapse --beta=0.5,4 --residual=0.5,2
Takes:
  A minute and a half on two CPU cores (64 settings of 80 seeds).
Expect:
  With small logits tokens become alike, the more the weaker the residual. With
  beta above the critical one queries attend to a few keys. Between are small
  logits and a strong residual.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import attention, base, experiment, launch, panels, stats
from initlab.experiment import PerNetwork, knob
from initlab.models import moments, transformer

from . import claims_attention, transformers

_VARIANCE = 0.2  # n_in times that of values and feed-forward weights, as there


@experiment.config
class Config(transformers.Encoder):
  """An encoder norm(alpha x + attention(x)), norm(x + feed_forward(x))."""

  beta: float = knob(
    1.0,
    'logits of tokens that are not correlated have the variance beta^2 ln T',
    above=0,
    traced=True,
  )
  residual: float = knob(
    1.0,
    'alpha: what multiplies the stream that attention is added to',
    above=0,
    traced=True,
  )
  width: int = knob(64, 'the units of the stream', least=4)
  heads: int = knob(1, 'of attention', least=1)
  tokens: int = knob(64, 'the length of a sequence', least=2)
  blocks: int = knob(24, 'attention and a feed-forward layer, each', least=2)
  sequences: int = knob(1, 'of the batch', least=1)

  def draw(self, key: base.Key) -> Any:
    """The parameters."""
    params = super().draw(key)
    layer, mlp = params['blocks']['attention'], params['blocks']['mlp']
    layer['query'] *= self.beta * np.log(self.tokens) ** 0.5
    layer['value'] *= _VARIANCE**0.5
    mlp['up'] *= _VARIANCE**0.5
    mlp['down'] *= _VARIANCE**0.5
    return params

  def options(self) -> dict[str, Any]:
    """Of `transformer.stream`."""
    return {**super().options(), 'norm': 'post', 'skip': (self.residual, 1.0)}

  def block(self) -> attention.Block:
    """As `initlab.attention` has it; 1 / alpha of W_O is alpha to the norm."""
    plain = transformers.theory(self, norm='post')
    return plain._replace(
      query=self.beta**2 * np.log(self.tokens) * plain.query,
      value=_VARIANCE * plain.value,
      output=plain.output / self.residual**2,
      up=_VARIANCE * plain.up,
      down=_VARIANCE * plain.down,
    )


SMOKE = Config(width=8, heads=1, tokens=3, blocks=2)
SWEEP = {
  'beta': (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
  'residual': (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
}


class Result(NamedTuple):
  """Of what the last attention reads, and what it makes of it.

  cosine: of two tokens, the mean over pairs.
  entropy: of the weights of a query, over ln T.
  participation: the sum of their squares.
  """

  cosine: PerNetwork
  entropy: PerNetwork
  participation: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw."""
  del data
  params = config.draw(key)
  last = jax.tree.map(lambda leaf: leaf[-1], params['blocks'])
  params['blocks'] = jax.tree.map(lambda leaf: leaf[:-1], params['blocks'])
  x = transformer.stream(params, config.words(key), **config.options())
  weights = transformer.attention_weights(last['attention'], x, causal=False)
  entropy = jnp.sum(jax.scipy.special.entr(weights), axis=-1)
  return Result(
    cosine=moments.token_cosine(x),
    entropy=jnp.mean(entropy) / np.log(config.tokens),
    participation=jnp.mean(jnp.sum(weights**2, axis=-1)),
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """By `initlab.attention`, of wide networks and this number of tokens."""
  del data
  block, tokens = config.block(), config.tokens
  path = attention.encoder(config.start(), config.blocks - 1, block)
  variance = attention.logit_variance(path[-1], block)
  found = {
    'cosine': path[-1].cosine,
    'entropy': attention.entropy(variance, tokens) / np.log(tokens),
    'participation': attention.overlap(variance, tokens),
  }
  return {name: np.array(value) for name, value in found.items()}


def verdict(outcome):
  """How alike tokens are at the end, and how many keys a query attends to."""
  cosine, entropy = (
    stats.average(outcome, name) for name in ('cosine', 'entropy')
  )
  return [
    f'tokens have a cosine of {cosine} where the last attention reads them; '
    f'its weights have {entropy} of the largest entropy'
  ]


_AXES = {'x': 'residual', 'y': 'beta'}
PANELS = (
  panels.Map(
    'cosine',
    'Rank collapse: how alike tokens are',
    'cosine of two tokens',
    lines=(claims_attention.rank_collapse,),
    **_AXES,
  ),
  panels.Map(
    'entropy',
    'Entropy collapse: how many keys have a say',
    'entropy over ln T',
    lines=(claims_attention.critical_beta,),
    **_AXES,
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_attention.CLAIMS, defaults={'seeds': '0:80'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
