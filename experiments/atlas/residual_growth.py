"""How a residual network without normalization starts.

Question:
  Does the signal of a deep residual network explode, and what prevents it?
Paper:
  Zhang, Dauphin & Ma, Fixup initialization, 2019, section 2; De & Smith, Batch
  normalization biases residual blocks towards the identity function in deep
  networks, 2020 (SkipInit); Bachlechner et al., ReZero is all you need, 2020.
Run:
  python -m experiments.atlas.residual_growth --branch=plain,skip_init
Takes:
  20 seconds on two CPU cores (4 settings of 16 seeds).
Expect:
  With branches that keep the variance it doubles in every block; scaled by
  1 / sqrt(L) it grows to e; with SkipInit or ReZero's factor of zero, and with
  Fixup's last layer of zeros, the network is the identity, bit for bit.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, initializers, keys, launch, panels
from initlab import residual, stats
from initlab.experiment import PerLayer, PerNetwork, knob

_DIRECTIONS = 8  # in which the Jacobian is tried
_CLOSE = 0.02  # of the growth, in powers of 2 a block
_IDENTITY = ('skip_init', 'fixup')


@experiment.config
class Config:
  """L blocks x + b W_2 relu(W_1 x), at their initialization."""

  branch: str = knob(
    'plain',
    'plain has b = 1, scaled 1 / sqrt(L), skip_init and ReZero 0; fixup has '
    'b = 1, W_2 = 0 and W_1 divided by sqrt(L)',
    ('plain', 'scaled', 'skip_init', 'fixup'),
  )
  width: int = knob(256, 'the units of the stream', least=2)
  depth: int = knob(50, 'how many blocks', least=2)


SMOKE = Config(width=4, depth=3)
SWEEP = {'branch': ('plain', 'scaled', 'skip_init', 'fixup')}


class Result(NamedTuple):
  """Of the stream x_l after l blocks.

  log_variance: log2 |x_l|^2 / |x_0|^2.
  growth: its mean increase a block.
  difference: the largest |x_L - x_0|.
  jacobian_difference: the largest entry of J v - v over eight directions v.
  """

  log_variance: PerLayer
  growth: PerNetwork
  difference: PerNetwork
  jacobian_difference: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """Sends one input through one network, and directions through its slope."""
  del data
  n, depth = config.width, config.depth
  blocks = jnp.arange(1, depth + 1, dtype=jnp.uint32)
  he, lecun = initializers.he_normal(), initializers.lecun_normal()

  def block(x, index):
    drawn = keys.at(keys.stream(key, 'init'), index)
    w_1 = he(keys.stream(drawn, 'w_1'), (n, n), x.dtype)
    w_2 = lecun(keys.stream(drawn, 'w_2'), (n, n), x.dtype)
    if config.branch == 'fixup':
      w_1 *= residual.fixup(depth, 2, 1)
      w_2 *= residual.fixup(depth, 2, 2)
    branch = jax.nn.relu(x @ w_1) @ w_2
    return x + _factor(config) * branch, x

  # Every x_l comes out of the loop, x_0 too: XLA may round what it draws in one
  # place differently in another.
  def stream(x):
    last, below = jax.lax.scan(block, x, blocks)
    return jnp.concatenate([below, last[None]])

  start, *directions = jax.random.normal(
    keys.stream(key, 'data'), (1 + _DIRECTIONS, n)
  )
  found, move = jax.linearize(stream, start)
  moved = jax.vmap(move)(jnp.stack(directions))
  log_variance = jnp.log2(jnp.sum(found[1:] ** 2, 1) / jnp.sum(found[0] ** 2))
  return Result(
    log_variance=log_variance,
    growth=log_variance[-1] / depth,
    difference=jnp.max(jnp.abs(found[-1] - found[0])),
    jacobian_difference=jnp.max(jnp.abs(moved[:, -1] - moved[:, 0])),
  )


def _factor(config: Config) -> float:
  """b, the factor of a branch."""
  if config.branch == 'scaled':
    return residual.depth_power(config.depth)
  return 0.0 if config.branch == 'skip_init' else 1.0


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """(1 + b^2)^l, with an output of the branch of the variance of its input."""
  del data
  factor = 0.0 if config.branch == 'fixup' else _factor(config)
  log_variance = np.log2(residual.plain(config.depth, branch=factor).variance)
  return {
    'log_variance': log_variance[1:],
    'growth': log_variance[-1] / config.depth,
  }


def verdict(outcome):
  """By how much the variance grows, and how far from the identity it is."""
  growth = stats.average(outcome, 'growth')
  off = outcome.measured['difference'].max()
  return [
    f'the variance grows by 2^({growth}) a block, theory '
    f'2^{float(outcome.predicted["growth"]):.3g}; off the identity by {off:.3g}'
  ]


@claims.claim('atlas 8, growth', 'Zhang et al., 2019; De & Smith, 2020')
def growth(outcomes):
  """Variance doubles in every block; scaled by 1 / sqrt(L) it ends at e.

  Holds if the interval of the increase of log2 of the variance a block holds
  values within 0.02 of 1 for plain branches, and of log2(1 + 1/L) for scaled
  ones, half of it being no wider than that.

  Untested if the run has not both.
  """
  held, told = [], []
  for branch in ('plain', 'scaled'):
    each = claims.one(outcomes, branch=branch)
    found = claims.mean(each.measured['growth'], 2)
    value = float(each.predicted['growth'])
    held.append(claims.agrees(found, value, within=_CLOSE, slack=_CLOSE))
    told.append(f'{branch}: {found} a block, theory {value:.4g}')
  return claims.finding(claims.together(held), '; '.join(told))


@claims.claim(
  'atlas 8, identity', 'De & Smith, 2020; Bachlechner et al., 2020, section 3'
)
def identity(outcomes):
  """SkipInit, ReZero and Fixup start as the identity, of Jacobian I.

  Holds if the output is the input and J v is v, bit for bit, of every seed.

  Untested if the run has none of these branches.
  """
  found = [each for each in outcomes if each.config.branch in _IDENTITY]
  if not found:
    raise claims.Untested('no branch that begins at zero')
  fields = 'difference', 'jacobian_difference'
  off = max(each.measured[name].max() for each in found for name in fields)
  return claims.finding(off == 0, f'off by {off:.3g} at most')


PANELS = (
  panels.Depth(
    'log_variance',
    'Variance of the stream',
    'log2 |x_l|^2/|x_0|^2',
    over='block',
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:16'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
