"""Closed-form moments of a transformer's components, against measured ones.

Question:
  Does the theory of signal propagation tell the second moments of every
  component of a transformer, at every depth, and how alike its tokens are?
Paper:
  Kedia et al., Transformers get stable: an end-to-end signal propagation theory
  for language models, 2024 (DeepScaleLM); Giorlandino & Goldt, Two failure
  modes of deep transformers and how to avoid them, 2025.
Run:
  python -m experiments.atlas.component_moments --logits=1,16
Takes:
  Two minutes on two CPU cores (3 settings of 128 seeds).
Expect:
  All are within a few percent, also where queries attend to few keys, where
  expansions in the variance of the logits fail.
"""

from typing import Annotated, Any, NamedTuple

import numpy as np

from initlab import attention, base, claims, experiment, launch, panels
from initlab import stats
from initlab.experiment import GEOMETRIC, PerLayer, knob

from . import transformers

_CLOSE = 0.1  # of a ratio of measured to theory
_COSINE = 0.05
# Of E s^2: name of the field -> the site whose output it is.
_SITES = {
  'values': 'blocks/attention/value',
  'mixed': 'product 2',
  'attention': 'blocks/attention/out',
  'hidden': 'blocks/mlp/up',
  'forward': 'blocks/mlp/down',
}


@experiment.config
class Config(transformers.Encoder):
  """An encoder with norms in front of its branches."""

  logits: float = knob(
    1.0, 'the variance of the logits of tokens that are not correlated', above=0
  )
  blocks: int = knob(8, 'attention and a feed-forward layer, each', least=1)

  def draw(self, key: base.Key) -> Any:
    """The parameters."""
    params = super().draw(key)
    params['blocks']['attention']['query'] *= self.logits**0.5
    return params


SMOKE = Config(width=8, heads=2, tokens=3, blocks=2, sequences=2)
SWEEP = {'logits': (1.0, 4.0, 16.0)}


class Result(NamedTuple):
  """E s^2 of the components of each block, over tokens and units.

  values, mixed, attention: the values, their mixture, and the branch's end.
  hidden, forward: pre-activations of the feed-forward layer, and its end.
  stream: after the block.
  cosine: of two tokens there.
  """

  values: Annotated[PerLayer, GEOMETRIC]
  mixed: Annotated[PerLayer, GEOMETRIC]
  attention: Annotated[PerLayer, GEOMETRIC]
  hidden: Annotated[PerLayer, GEOMETRIC]
  forward: Annotated[PerLayer, GEOMETRIC]
  stream: Annotated[PerLayer, GEOMETRIC]
  cosine: PerLayer


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw."""
  del data
  found = transformers.pulled_back(config, key)
  squares = {
    name: found.sites[site]['forward_rms'] ** 2 for name, site in _SITES.items()
  }
  add = found.residuals[1]
  return Result(
    **squares,
    stream=add['sum_rms'] ** 2,
    cosine=add['token_cosine'],
  )


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """By `initlab.attention`, of wide networks."""
  del data
  n, found = config.width, []
  block = transformers.theory(config)
  block = block._replace(query=config.logits * block.query)
  steps = attention.branches(config.start(), config.blocks, block)
  for attended, fed in zip(steps[::2], steps[1::2], strict=True):
    out = attention.attend(attended.inside, block)
    found.append(
      {
        'values': attention.linear(attended.inside, n, block.value).square,
        'mixed': out.square / (n * block.output),
        'attention': out.square,
        'hidden': attention.linear(fed.inside, n, block.up).square,
        'forward': attention.feed_forward(fed.inside, block).square,
        'stream': fed.sum.square,
        'cosine': fed.sum.cosine,
      }
    )
  return {name: np.array([each[name] for each in found]) for name in found[0]}


def verdict(outcome):
  """How alike the tokens are on top."""
  last = outcome._replace(
    measured={'cosine': outcome.measured['cosine'][:, -1]}
  )
  cosine = stats.average(last, 'cosine')
  theory = float(outcome.predicted['cosine'][-1])
  return [f'two tokens end with a cosine of {cosine}, theory {theory:.3g}']


@claims.claim('atlas 11, moments', 'Kedia et al., 2024, section 3')
def moments(outcomes):
  """Closed forms tell the moments of every component in every block.

  Holds if the interval of the mean of E s^2 over theory's, of every component,
  block and setting, holds values within 0.1 of 1, and that of the cosine of two
  tokens values within 0.05 of theory's, half of each being no wider than that.
  The intervals cover together.

  Untested if the run has no setting.
  """
  found = claims.every(outcomes)
  names = (*_SITES, 'stream')
  cells = sum(each.config.blocks * (len(names) + 1) for each in found)
  held, far = [], []
  for each in found:
    for name in names:
      ratio = claims.mean(each.measured[name] / each.predicted[name], cells)
      held.append(claims.agrees(ratio, 1.0, within=_CLOSE, slack=_CLOSE))
      off = float(np.max(np.abs(ratio.value - 1)))
      far.append((off, f'{name} with logits {each.config.logits:g}'))
    cosine = claims.mean(each.measured['cosine'], cells)
    expected = each.predicted['cosine']
    held.append(claims.agrees(cosine, expected, within=_COSINE, slack=_COSINE))
  off, where = max(far)
  return claims.finding(
    claims.together(held), f'{cells} moments; off by {off:.1%} at most: {where}'
  )


PANELS = (
  panels.Depth('mixed', 'Mixtures of values', 'E s^2', over='block'),
  panels.Depth('stream', 'The stream', 'E x^2', over='block'),
  panels.Depth(
    'cosine', 'How alike tokens are', 'cosine of two tokens', over='block'
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:128'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
