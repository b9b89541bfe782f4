"""Do the tokens of a deep transformer become alike, and what stops them?

Question:
  How alike are the tokens of a sequence after so many blocks, without skip
  connections, with them, and with branches scaled by 1 / sqrt(L)? What becomes
  of the gradients of queries and keys?
Paper:
  Dong, Cordonnier & Loukas, Attention is not all you need: pure attention loses
  rank doubly exponentially with depth, 2021; Noci et al., Signal propagation in
  transformers, 2022, figure 1 and section 3.
Run:
  python -m experiments.atlas.rank_collapse --blocks=12
Takes:
  A minute on two CPU cores (9 settings of 16 seeds).
Expect:
  Without skips the cosine of two tokens is 1 to rounding after three blocks,
  and gradients of queries and keys vanish. With skips it grows with the depth;
  with branches times 1 / sqrt(L) it is the same at any depth.
"""

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import attention, base, experiment, launch, panels
from initlab import residual, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, knob

from . import claims_rank_collapse, transformers

_ROUNDING = 1e-6  # of a cosine in float32, a sum of 32 tokens


@experiment.config
class Config(transformers.Encoder):
  """An encoder with a norm after every branch."""

  skips: str = knob(
    'plain',
    'none has no skip connection, plain is norm(x + F(x)), and scaled '
    'norm(x + F(x) / sqrt(L))',
    ('none', 'plain', 'scaled'),
  )

  def scales(self) -> tuple[float, float]:
    """Of the skip and of the branch."""
    branch = residual.depth_power(self.blocks)
    return {'none': (0.0, 1.0), 'plain': (1.0, 1.0), 'scaled': (1.0, branch)}[
      self.skips
    ]

  def options(self) -> dict[str, Any]:
    """Of `transformer.stream`."""
    skip, branch = self.scales()
    fixed = {'norm': 'post', 'skip': skip, 'branch': branch}
    return super().options() | fixed


SMOKE = Config(width=8, heads=2, tokens=3, blocks=2, sequences=2)
SWEEP = {'skips': ('none', 'plain', 'scaled'), 'blocks': (6, 12, 24)}


class Result(NamedTuple):
  """After each block, and of its weights.

  cosine, last_cosine: mean over pairs of tokens, in every block and the last.
  distance: 1 - cosine, at least 1e-6.
  query_share: |dC/dW_Q| over |dC/dW_V|.
  last_query_share: of the last block.
  """

  cosine: PerLayer
  last_cosine: PerNetwork
  distance: Annotated[PerLayer, GEOMETRIC]
  query_share: Annotated[PerLayer, GEOMETRIC]
  last_query_share: Annotated[PerNetwork, GEOMETRIC]


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw, with the cross entropy of random labels."""
  del data
  found = transformers.audited(config, key)
  cosine = found.residuals[1]['token_cosine']
  query, value = (
    found.sites[f'blocks/attention/{name}']['weight_gradient']
    for name in ('query', 'value')
  )
  share = query / value
  return Result(
    cosine=cosine,
    last_cosine=cosine[-1],
    distance=jnp.maximum(1 - cosine, _ROUNDING),
    query_share=share,
    last_query_share=share[-1],
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """By `attention.encoder`, of wide networks."""
  del data
  skip, branch = config.scales()
  block = transformers.theory(config, norm='post', skip=skip, branch=branch)
  path = attention.encoder(config.start(), config.blocks, block)
  cosine = np.array([each.cosine for each in path[1:]])
  return {
    'cosine': cosine,
    'last_cosine': cosine[-1],
    'distance': np.maximum(1 - cosine, _ROUNDING),
  }


def verdict(outcome):
  """How alike tokens are at the end, and what queries get."""
  cosine = stats.average(outcome, 'last_cosine')
  share = stats.average(outcome, 'last_query_share')
  return [
    f'two tokens have a cosine of {cosine}; the gradient of the last queries '
    f'is {share} of that of the values'
  ]


PANELS = (
  panels.Depth(
    'cosine', 'How alike tokens are', 'cosine of two tokens', over='block'
  ),
  panels.Depth(
    'distance',
    'How they become alike',
    '1 - cosine, at least 1e-6',
    log=True,
    over='block',
  ),
  panels.Depth(
    'query_share',
    'Gradients of queries',
    '|dC/dW_Q| / |dC/dW_V|',
    log=True,
    over='block',
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_rank_collapse.CLAIMS, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
