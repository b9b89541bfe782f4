"""Where the norm of a transformer stands, and the gradients it starts with.

Question:
  How large is the gradient of each layer of a deep transformer, if its norms
  stand after the branches, and if they stand in front of them?
Paper:
  Xiong et al., On layer normalization in the transformer architecture, 2020,
  theorem 1 and figure 3.
Run:
  python -m experiments.atlas.norm_placing --norm=pre,post --blocks=6,12
Takes:
  A minute on two CPU cores (8 settings of 16 seeds).
Expect:
  With norms after the branches (Post-LN) the gradient of the last layer is as
  large in deep networks as in shallow ones, and gradients grow from the first
  layer to the last. With norms in front (Pre-LN) it falls as 1 / sqrt(L).
"""

from typing import Annotated, Any, NamedTuple

import numpy as np

from initlab import base, claims, experiment, launch, panels, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, knob

from . import transformers

_DOWN = 'blocks/mlp/down'
_CLOSE = 0.1  # of an exponent of the depth
_ALIKE = 2.0  # a factor between layers that are said to be alike


@experiment.config
class Config(transformers.Encoder):
  """An encoder, with RMSNorm in one of two places."""

  norm: str = knob(
    'pre',
    'pre is x + F(norm(x)), and a norm in front of the output; post is '
    'norm(x + F(x))',
    ('pre', 'post'),
  )

  def options(self) -> dict[str, Any]:
    """Of `transformer.stream`."""
    return {**super().options(), 'norm': self.norm}


SMOKE = Config(width=8, heads=2, tokens=3, blocks=2, sequences=2)
SWEEP = {'norm': ('pre', 'post'), 'blocks': (6, 12, 24, 48)}


class Result(NamedTuple):
  """Of W_2, the second weights of the feed-forward layers.

  gradient: |dC/dW_2| of each block.
  first_gradient, last_gradient: of the first and of the last.
  """

  gradient: Annotated[PerLayer, GEOMETRIC]
  first_gradient: Annotated[PerNetwork, GEOMETRIC]
  last_gradient: Annotated[PerNetwork, GEOMETRIC]


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw, with the cross entropy of random labels."""
  del data
  found = transformers.audited(config, key)
  gradient = transformers.norm_of(found, _DOWN, 4 * config.width**2)
  return Result(
    gradient=gradient,
    first_gradient=gradient[0],
    last_gradient=gradient[-1],
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """By `encoder_gradients`, of wide networks."""
  del data
  block = transformers.theory(config, norm=config.norm)
  found = transformers.gradient_norms(config, block)
  return {
    'gradient': found,
    'first_gradient': found[0],
    'last_gradient': found[-1],
  }


def verdict(outcome):
  """The gradients of the first and of the last layer."""
  first, last = (
    stats.average(outcome, name) for name in ('first_gradient', 'last_gradient')
  )
  return [f'|dC/dW_2| is {first} in the first block and {last} in the last']


def exponents(outcomes) -> np.ndarray:
  """d log |dC/dW_2| of the last block / d log L, of every seed, `[S]`."""
  depths = np.log([each.config.blocks for each in outcomes])
  sizes = np.log([each.measured['last_gradient'] for each in outcomes])
  centred = depths - depths.mean()
  return centred @ sizes / (centred @ centred)


@claims.claim('atlas 10, last layer', 'Xiong et al., 2020, theorem 1')
def last_layer(outcomes):
  """The last gradient falls as 1 / sqrt(L) in Pre-LN, and not in Post-LN.

  Holds if the interval of the exponent of |dC/dW_2| of the last block in L
  holds values within 0.1 of -1/2 with pre, and of 0 with post, half of it being
  no wider than that.

  Untested if the depths of one of the two do not span a factor of 4.
  """
  held, told = [], []
  for norm, exponent in (('pre', -0.5), ('post', 0.0)):
    found = claims.every(outcomes, norm=norm)
    depths = [each.config.blocks for each in found]
    if max(depths) < 4 * min(depths):
      raise claims.Untested(f'no range of depths with {norm}')
    slope = claims.mean(exponents(found), 2)
    held.append(claims.agrees(slope, exponent, within=_CLOSE, slack=_CLOSE))
    told.append(f'{norm}: exponent {slope}')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim('atlas 10, layers', 'Xiong et al., 2020, figure 3 a and b')
def layers(outcomes):
  """In Post-LN gradients grow towards the output, in Pre-LN they are alike.

  Holds if with 6 blocks, as in the paper, the interval of |dC/dW_2| of the last
  block over the first lies above 1 with post, and between 1/2 and 2 with pre.

  Untested if the run has not both.
  """
  found = {}
  for norm in ('pre', 'post'):
    six = claims.one(outcomes, norm=norm, blocks=6).measured
    found[norm] = claims.ratio(six['last_gradient'], six['first_gradient'])
  pre, post = found['pre'], found['post']
  alike = pre.low > 1 / _ALIKE and pre.high < _ALIKE
  return claims.finding(
    post.low > 1 and alike, f'last over first: post {post}, pre {pre}'
  )


PANELS = (
  panels.Depth(
    'gradient', 'Gradients at the start', '|dC/dW_2|', log=True, over='block'
  ),
  panels.Sweep(
    'last_gradient', 'The last gradient', '|dC/dW_2|', knob='blocks', log=True
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:16'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
