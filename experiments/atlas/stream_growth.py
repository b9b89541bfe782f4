"""How the stream of a transformer, and its Jacobian, grow with the depth.

Question:
  How do the variance of the stream and the gradient grow in a transformer with
  norms in front of its branches, with norms divided by sqrt(l), and with tanh
  in place of the norms?
Paper:
  Sun et al., The curse of depth in large language models, 2025 (LayerNorm
  scaling); Alekseev, Subcritical signal propagation at initialization in
  normalization-free transformers, 2026.
Run:
  python -m experiments.atlas.stream_growth --norm=layer,tanh
Takes:
  A minute on two CPU cores (3 settings of 16 seeds).
Expect:
  With norms the variance grows in proportion to the depth, and the Jacobian as
  a power of it; scaled norms leave the variance a logarithm of the depth. With
  tanh the Jacobian grows as exp(sqrt(l)), faster than any power.
"""

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import attention, base, encoder_gradients, experiment
from initlab import activations, launch, panels, residual, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, knob
from initlab.models import transformer

from . import claims_stream, transformers


@experiment.config
class Config(transformers.Encoder):
  """An encoder with something in front of every branch."""

  norm: str = knob(
    'layer',
    'layer is RMSNorm, scaled RMSNorm over sqrt(l) in block l; tanh and erf '
    'stand in its place in Dynamic Tanh and Derf',
    ('layer', 'scaled', 'tanh', 'erf'),
  )
  blocks: int = knob(64, 'attention and a feed-forward layer, each', least=16)

  def elementwise(self) -> base.Activation | None:
    """What stands in place of the norms; None for RMSNorm."""
    if self.norm in ('layer', 'scaled'):
      return None
    return activations.resolve(self.norm)

  def draw(self, key: base.Key) -> Any:
    """The parameters."""
    params = super().draw(key)
    if self.norm == 'scaled':
      for layer in ('attention', 'mlp'):
        params['blocks'][layer]['norm'] *= jnp.array(self.factors())[:, None]
    return params

  def factors(self) -> list[float]:
    """1 / sqrt(l), l = 1, ..., L."""
    count = range(1, self.blocks + 1)
    return [residual.layer_norm_scaling(index) for index in count]

  def options(self) -> dict[str, Any]:
    """Of `transformer.stream`."""
    normalize = self.elementwise() or transformer.rms_norm
    return {**super().options(), 'normalize': normalize}


SMOKE = Config(width=8, heads=2, tokens=3, blocks=16, sequences=2)
SWEEP = {'norm': ('layer', 'scaled', 'tanh')}


class Result(NamedTuple):
  """Of the stream x_l after block l, over tokens and units.

  variance, last_variance: E x_l^2, and that of the last.
  growth: (q_L - q_m) / (q_m - q_k) of the variance q, with m = L / 4 and k =
    L / 16.
  jacobian: (1 / n) |dx_L / dx_l|^2, the averaged partial Jacobian norm.
  bend: log(J_m / J_L) / log(J_k / J_m).
  """

  variance: Annotated[PerLayer, GEOMETRIC]
  last_variance: Annotated[PerNetwork, GEOMETRIC]
  growth: PerNetwork
  jacobian: Annotated[PerLayer, GEOMETRIC]
  bend: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """One draw, and the pull-back of one normal vector."""
  del data
  found = transformers.pulled_back(config, key)
  variance = found.residuals[1]['sum_rms'] ** 2
  jacobian = found.sites['blocks/mlp/down']['backward_rms'] ** 2
  return Result(**_summary(variance, jacobian))


def _summary(variance: Any, jacobian: Any) -> dict[str, Any]:
  """The fields of a Result; `[L]` each."""
  last = len(variance)
  first, middle, end = last // 16 - 1, last // 4 - 1, last - 1
  early = variance[middle] - variance[first]
  log = jnp.log(jnp.asarray(jacobian))
  return {
    'variance': variance,
    'last_variance': variance[-1],
    'growth': (variance[end] - variance[middle]) / early,
    'jacobian': jacobian,
    'bend': (log[middle] - log[end]) / (log[first] - log[middle]),
  }


def predict(config: Config, data: None) -> dict[str, np.ndarray]:
  """Of wide networks; of scaled norms the variance alone."""
  del data
  start, count = config.start(), config.blocks
  block = transformers.theory(config, elementwise=config.elementwise())
  if config.norm == 'scaled':
    stream = [start]
    for factor in config.factors():
      stream += attention.encoder(stream[-1], 1, _divided(block, factor**2))[1:]
    variance = np.array([each.square for each in stream[1:]])
    found = _summary(variance, np.ones(count))
    return {k: found[k] for k in ('variance', 'last_variance', 'growth')}
  stream = attention.encoder(start, count, block)
  downward = encoder_gradients.gradients(start, count, block)
  return _summary(
    np.array([each.square for each in stream[1:]]),
    np.array([each.variance for each in downward[1:]]),
  )


def _divided(block: attention.Block, factor: float) -> attention.Block:
  """With what reads the norm scaled in place of it."""
  names = ('query', 'key', 'value', 'up')
  return block._replace(**{n: factor * getattr(block, n) for n in names})


def verdict(outcome):
  """How the variance and the Jacobian end."""
  variance = stats.average(outcome, 'last_variance')
  bend = stats.average(outcome, 'bend')
  return [f'the variance ends at {variance}; the bend is {bend}']


PANELS = (
  panels.Depth(
    'variance', 'Variance of the stream', 'E x_l^2', log=True, over='block'
  ),
  panels.Depth(
    'jacobian',
    'Jacobian of the blocks above',
    '|dx_L/dx_l|^2 / n',
    log=True,
    over='block',
  ),
)
EXPERIMENT = experiment.of_module(
  __name__, claims=claims_stream.CLAIMS, defaults={'seeds': '0:16'}
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
