"""A small decoder-only transformer, its blocks stacked and scanned.

    x = embedding[tokens] + position
    x = x + branch * attention(norm(x))
    x = x + branch * mlp(norm(x))           (of each block in turn)
    logits = norm(x) readout

Blocks are pre-norm (RMSNorm) and attention is causal unless `stream` is told
otherwise, and no layer has a bias. All blocks' weights lie in one array a kind,
with a leading axis of blocks, and `stream` scans over it: the program is as
large for 100 blocks as for one.

References:
  Radford et al., 2019, GPT-2, section 2.3, for the placing of the norms.
  Zhang & Sennrich, 2019, RMSNorm. https://arxiv.org/abs/1910.07467
  Xiong et al., 2020, of norms before and after the branch.
  https://arxiv.org/abs/2002.04745
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base
from initlab.models import leaves
from initlab.models.leaves import Leaf

_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class Config:
  """What a transformer is made of.

  vocabulary: how many tokens there are.
  length: the longest sequence.
  width: of the residual stream, a multiple of `heads`.
  heads: of attention, each of width / heads.
  blocks: attention and MLP, once each.
  expansion: the hidden width of the MLP over `width`.
  """

  vocabulary: int
  length: int
  width: int = 64
  heads: int = 4
  blocks: int = 2
  expansion: int = 4

  def __post_init__(self):
    for field in dataclasses.fields(self):
      what = f'{field.name} of a transformer'
      base.check_whole(getattr(self, field.name), 1, what)
    if self.width % self.heads:
      raise base.UserError(
        f'a width of {self.width} is no multiple of {self.heads} heads'
      )


def declared(config: Config) -> Any:
  """The leaves, a pytree of `Leaf`: shapes, default schemes and axes."""
  n, blocks, hidden = (
    config.width,
    config.blocks,
    config.expansion * config.width,
  )
  heads = (config.heads, n // config.heads)

  def kernel(shape, in_axis, out_axis):
    axes = {'in_axis': in_axis, 'out_axis': out_axis, 'batch_axis': 0}
    return Leaf((blocks, *shape), 'lecun_normal', axes)

  project = kernel((n, *heads), 1, (2, 3))
  return {
    'embedding': Leaf((config.vocabulary, n), 'normal:std=1'),
    'position': Leaf((config.length, n), 'normal:std=1'),
    'blocks': {
      'attention': {
        'norm': Leaf((blocks, n), 'ones'),
        'query': project,
        'key': project,
        'value': project,
        'out': kernel((*heads, n), (1, 2), 3),
      },
      'mlp': {
        'norm': Leaf((blocks, n), 'ones'),
        'up': kernel((n, hidden), 1, 2),
        'down': kernel((hidden, n), 1, 2),
      },
    },
    'norm': Leaf((n,), 'ones'),
    'readout': Leaf(
      (n, config.vocabulary), 'lecun_normal', {'in_axis': 0, 'out_axis': 1}
    ),
  }


def init(
  key: base.Key, config: Config, choice: leaves.Choice | None = None
) -> Any:
  """Draws a transformer.

  Args:
    key: it is consumed.
    config: its sizes.
    choice: patterns of names and the schemes that draw the leaves that they
      match, as in `{'*/out': 'zeros'}`, see `leaves.draw`.

  Returns:
    A tree of arrays; `declared` has their names and shapes.

  Examples:
    >>> from initlab import keys
    >>> config = Config(vocabulary=8, length=16)
    >>> params = jax.eval_shape(lambda: init(keys.root(0), config))
    >>> params['blocks']['attention']['query'].shape
    (2, 64, 4, 16)
  """
  return leaves.draw(key, declared(config), choice)


def rms_norm(x: base.Array) -> base.Array:
  """x / sqrt(mean of x^2 over the features + 1e-6)."""
  square = jnp.mean(x**2, axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + _EPSILON)


def apply(params: Any, tokens: base.Array, **options: Any) -> base.Array:
  """The logits of the token that follows each token.

  Args:
    params: as `init` draws them.
    tokens: `[B, T]` integers below the vocabulary, T at most `length`.
    **options: those of `stream`.

  Returns:
    `[B, T, vocabulary]`.
  """
  x = stream(params, tokens, **options)
  normalize = options.get('normalize', rms_norm)
  return _scaled(normalize(x), params['norm']) @ params['readout']


def stream(
  params: Any,
  tokens: base.Array,
  *,
  activation: base.Activation = jax.nn.gelu,
  attention_exponent: float = 0.5,
  causal: bool = True,
  branch: float = 1.0,
  skip: float | tuple[float, float] = 1.0,
  norm: str = 'pre',
  normalize: Callable[[base.Array], base.Array] = rms_norm,
) -> base.Array:
  """The residual stream after the last block.

  Args:
    params: as `init` draws them.
    tokens: `[B, T]` integers below the vocabulary, T at most `length`.
    activation: of the MLPs.
    attention_exponent: query . key is divided by head_dim to this power: 1/2 as
      in the Transformer, 1 in the maximal update parametrization.
    causal: whether a token attends to none that comes later.
    branch: what multiplies each residual branch: 1, or with the base depth over
      the depth CompleteP's.
    skip: what multiplies the stream that a branch is added to, or a pair, of
      attention and of the MLP; 0 for a network without skip connections.
    norm: 'pre', x + F(norm(x)), or 'post', norm(x + F(x)), after which the norm
      in front of the readout does nothing more.
    normalize: what a norm does before its scale: `rms_norm`, or a function in
      its place, such as tanh(x / 2) of Dynamic Tanh (Zhu et al., 2025).

  Returns:
    `[B, T, width]`.

  Raises:
    UserError: norm is neither.
  """
  pre = base.lookup({'pre': True, 'post': False}, 'norm', norm)
  skips = skip if isinstance(skip, tuple) else (skip, skip)
  x = params['embedding'][tokens] + params['position'][: tokens.shape[-1]][None]

  def residual(
    x: base.Array, scale: base.Array, part: Any, skip: float
  ) -> base.Array:
    if pre:
      return skip * x + branch * part(_scaled(normalize(x), scale))
    return _scaled(normalize(skip * x + branch * part(x)), scale)

  def block(x: base.Array, layer: Any) -> tuple[base.Array, None]:
    attention, mlp = layer['attention'], layer['mlp']
    attend = lambda x: _attention(attention, x, attention_exponent, causal)
    x = residual(x, attention['norm'], attend, skips[0])
    forward = lambda x: activation(x @ mlp['up']) @ mlp['down']
    return residual(x, mlp['norm'], forward, skips[1]), None

  return jax.lax.scan(block, x, params['blocks'])[0]


def attention_weights(
  layer: Any, x: base.Array, *, exponent: float = 0.5, causal: bool = True
) -> base.Array:
  """What share each token takes of each, a softmax over the latter.

  Args:
    layer: of the attention of one block, `params['blocks']['attention']` at it.
    x: `[B, T, width]`, what the attention reads: behind its norm, if any.
    exponent, causal: `attention_exponent` and `causal` of `stream`.

  Returns:
    `[B, heads, T, T]`; the last axis sums to 1.
  """
  query, key = (
    jnp.einsum('btn,nhd->bthd', x, layer[name]) for name in ('query', 'key')
  )
  logits = jnp.einsum('bthd,bshd->bhts', query, key)
  logits = logits / query.shape[-1] ** exponent
  if causal:
    seen = jnp.tril(jnp.ones(logits.shape[-2:], bool))
    logits = jnp.where(seen, logits, -jnp.inf)
  return jax.nn.softmax(logits)


def _attention(
  layer: Any, x: base.Array, exponent: float, causal: bool
) -> base.Array:
  weights = attention_weights(layer, x, exponent=exponent, causal=causal)
  value = jnp.einsum('btn,nhd->bthd', x, layer['value'])
  mixed = jnp.einsum('bhts,bshd->bthd', weights, value)
  return jnp.einsum('bthd,hdn->btn', mixed, layer['out'])


def _scaled(x: base.Array, scale: base.Array) -> base.Array:
  return x * scale.reshape((1,) * (x.ndim - 1) + scale.shape)
