"""What AnyInit and initlab see in six Flax models, and what they draw.

The models are measured by themselves, with `sow`: neither tool judges its own
work. Prints two Markdown tables.
"""

import logging
from typing import NamedTuple
import warnings

import anyinit
import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from initlab import keys, stats
from initlab.models import adapters, audit as audits, calibrate, redraw, uses

SEEDS = 8
_D = 64


def cubed(x):
  """AnyInit's own example of an activation that it has to be told."""
  return jnp.maximum(x, 0) ** 3


def swish_by_hand(x):
  return x / (1 + jnp.exp(-x))


def _rms(x):
  return jnp.sqrt(jnp.mean(x * x))


class Chain(nn.Module):
  """An MLP of four hidden layers."""

  activation: object

  @nn.compact
  def __call__(self, x):
    for _ in range(4):
      x = self.activation(nn.Dense(_D)(x))
      self.sow('intermediates', 'stream', _rms(x))
    return nn.Dense(10)(x)


class ResidualMLP(nn.Module):
  """Eight branches of two layers, without normalization."""

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(_D)(x)
    for _ in range(8):
      x = x + nn.Dense(_D)(nn.relu(nn.Dense(_D)(x)))
      self.sow('intermediates', 'stream', _rms(x))
    return nn.Dense(10)(x)


class Attention(nn.Module):
  """Four heads, of dense layers alone."""

  @nn.compact
  def __call__(self, x):
    split = (*x.shape[:-1], 4, _D // 4)
    q, k, v = (nn.Dense(_D)(x).reshape(split) for _ in range(3))
    weights = nn.softmax(jnp.einsum('bthd,bshd->bhts', q, k) / 4)
    mixed = jnp.einsum('bhts,bshd->bthd', weights, v)
    return nn.Dense(_D)(mixed.reshape(x.shape))


class Transformer(nn.Module):
  """Four pre-norm layers; attention is given as a module's factory."""

  attention: object

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(_D)(x)
    for _ in range(4):
      x = x + self.attention()(nn.LayerNorm()(x))
      h = nn.gelu(nn.Dense(4 * _D)(nn.LayerNorm()(x)))
      x = x + nn.Dense(_D)(h)
      self.sow('intermediates', 'stream', _rms(x))
    return nn.Dense(10)(nn.LayerNorm()(x))


class ResNet(nn.Module):
  """Four basic blocks with batch norm."""

  @nn.compact
  def __call__(self, x):
    def norm(x):
      return nn.BatchNorm(use_running_average=False)(x)

    x = nn.relu(norm(nn.Conv(16, (3, 3), use_bias=False)(x)))
    for _ in range(4):
      h = nn.relu(norm(nn.Conv(16, (3, 3), use_bias=False)(x)))
      h = norm(nn.Conv(16, (3, 3), use_bias=False)(h))
      x = nn.relu(x + h)
      self.sow('intermediates', 'stream', _rms(x))
    return nn.Dense(10)(x.mean((1, 2)))


class Case(NamedTuple):
  """A model, and the shape of its input.

  truth: how many weights, activations and residual adds it has.
  """

  name: str
  model: nn.Module
  shape: tuple[int, ...]
  truth: str


CASES = (
  Case('MLP, relu(x)^3, registered', Chain(cubed), (64, 32), '5, 4, 0'),
  Case('MLP, x / (1 + exp(-x))', Chain(swish_by_hand), (64, 32), '5, 4, 0'),
  Case('residual MLP', ResidualMLP(), (64, 32), '18, 8, 8'),
  Case('pre-norm transformer', Transformer(Attention), (8, 16, 32), '26, 4, 8'),
  Case(
    "the same, Flax's own attention",
    Transformer(lambda: nn.MultiHeadDotProductAttention(4)),
    (8, 16, 32),
    '26, 4, 8',
  ),
  Case('ResNet with batch norm', ResNet(), (16, 8, 8, 3), '10, 9, 4'),
)


def _batch(case):
  draws = np.random.default_rng(0).standard_normal(case.shape)
  return jnp.asarray(draws, jnp.float32)


def _signal(case, variables, x):
  """(rms of the output, its change along the stream) of these params."""
  y, state = case.model.apply(
    variables, x, mutable=['intermediates', 'batch_stats']
  )
  stream = state['intermediates']['stream']
  return float(_rms(y)), float(stream[-1] / stream[0])


def _of_flax(case, x, seed):
  return case.model.init(keys.at(keys.root(0), seed), x)


def _of_anyinit(case, x, seed, mode):
  variables = _of_flax(case, x, seed)
  report = anyinit.initialize(
    case.model, mode, np.asarray(x), params=variables, seed=seed
  )
  params = report.params
  if 'params' not in params:
    params = {**variables, 'params': params}
  return params, report


def _of_initlab(case, x, seed, change):
  """Flax's params, changed by `change(model, params, key)`."""
  params, (_, apply) = _of_flax(case, x, seed), adapters.linen(case.model, x)
  model = uses.trace(apply, params, x)
  return change(model, params, keys.at(keys.root(1), seed))


def _he(model, params, key):
  """He's law, the branches divided by the root of their number."""
  new = redraw.redraw(model.uses, params, key, 'he_normal').params
  has_branches = bool(model.plan.residuals)
  return redraw.scale_branches(model, new).params if has_branches else new


def _lsuv(model, params, key, x):
  """Orthogonal kernels, calibrated on the batch, branches likewise."""
  new = redraw.redraw(model.uses, params, key, 'orthogonal').params
  return calibrate.calibrate(model, new, x, method='lsuv:branch=None').params


def _told(values):
  """'1.20 [1.10, 1.30]', geometric mean and interval; or why not."""
  if not np.isfinite(values).all():
    return 'not finite'
  each = stats.geometric_mean(np.asarray(values))
  return f'{each.value:.3g} [{each.low:.2g}, {each.high:.2g}]'


def _drawn(case, x, draw):
  """Two cells: change along the stream, and output."""
  try:
    signals = [_signal(case, draw(case, x, seed), x) for seed in range(SEEDS)]
  except Exception as error:  # whatever another package raises is its answer
    return [f'fails: {error}'.splitlines()[0], '']
  output, change = zip(*signals, strict=True)
  return [_told(change), _told(output)]


# What draws each column of the second table.
DRAWS = {
  'Flax': _of_flax,
  'AnyInit analytic': lambda *a: _of_anyinit(*a, 'analytic')[0],
  'AnyInit empirical': lambda *a: _of_anyinit(*a, 'empirical')[0],
  'initlab he': lambda case, x, seed: _of_initlab(case, x, seed, _he),
  'initlab LSUV': lambda case, x, seed: _of_initlab(
    case, x, seed, lambda model, params, key: _lsuv(model, params, key, x)
  ),
}


def _seen(case):
  """A line of the first table: weights, activations and residual adds."""
  x = _batch(case)
  audit = audits.audit(*adapters.linen(case.model, x), (x,), seeds=SEEDS)
  try:
    layers = _of_anyinit(case, x, 0, 'analytic')[1].layers
    known = sum(each.activation not in (None, 'none') for each in layers)
    seen = f'{len(layers)}, {known}, 0'
  except Exception as error:  # whatever another package raises is its answer
    seen = f'fails: {type(error).__name__}'
  weights = [site for site in audit.sites if site.kind != 'product']
  found = f'{len(weights)}, {len(audit.activations)}, {len(audit.residuals)}'
  return [case.name, case.truth, seen, found]


def _changes(case):
  """A line of the second table: stream and output of every draw."""
  x = _batch(case)
  drawn = (_drawn(case, x, draw) for draw in DRAWS.values())
  return [case.name, *(cell for cells in drawn for cell in cells)]


def _print(head, row):
  print('| ' + ' | '.join(head) + ' |')
  print('|' + ' --- |' * len(head))
  for case in CASES:
    print('| ' + ' | '.join(row(case)) + ' |', flush=True)


def main():
  """Prints the tables."""
  logging.disable(logging.WARNING)
  warnings.simplefilter('ignore')
  anyinit.register_activation(
    lambda x: np.maximum(x, 0) ** 3, name='cubed', overwrite=True
  )
  _print(('model', 'has', 'AnyInit sees', 'initlab sees'), _seen)
  print()
  pairs = ((f'{name}: stream', 'output') for name in DRAWS)
  _print(('model', *(cell for pair in pairs for cell in pair)), _changes)


if __name__ == '__main__':
  main()
