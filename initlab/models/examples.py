"""Small models that come with the lab, to be audited, trained and compared.

Each function returns `(init, model, batch)`: `init(key) -> params`,
`model(params, *batch) -> (loss, error)` and `batch(key, size)`, which draws
fresh examples on the device.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import base, keys, losses
from initlab.models import (
  convnet as convnets,
  languages,
  transformer as transformers,
)

Model = tuple[
  Callable[[base.Key], Any],
  Callable[..., tuple[base.Array, base.Array]],
  Callable[[base.Key, int], tuple],
]


def transformer(
  blocks: int = 2,
  width: int = 32,
  heads: int = 4,
  symbols: int = 8,
  queries: int = 4,
) -> Model:
  """A pre-norm transformer of a language that needs attention: induction.

  Args:
    blocks, width, heads: see `transformer.Config`.
    symbols, queries: see `languages.induction`. The error is the share of
      queries whose answer is not the most probable token.
  """
  language = languages.induction(symbols, queries)
  sizes = transformers.Config(
    language.vocabulary, language.length, width, heads, blocks
  )

  def model(params: Any, sequences: languages.Sequences) -> Any:
    logits = transformers.apply(params, sequences.tokens)
    error = 1 - languages.accuracy(logits, sequences)
    return languages.loss(logits, sequences), error

  return (
    lambda key: transformers.init(key, sizes),
    model,
    lambda key, size: (language.draw(key, size),),
  )


def convnet(blocks: int = 2, width: int = 4, classes: int = 8) -> Model:
  """A residual ConvNet that tells the orientation of gratings.

  Args:
    blocks, width: see `convnet.Config`.
    classes: how many orientations there are.
  """
  sizes = convnets.Config(1, classes, width, blocks)

  def model(params: Any, x: base.Array, y: base.Array) -> Any:
    logits = convnets.apply(params, x)
    error = jnp.mean(jnp.argmax(logits, axis=-1) != y)
    return jnp.mean(jax.vmap(losses.cross_entropy)(logits, y)), error

  return (
    lambda key: convnets.init(key, sizes),
    model,
    lambda key, size: gratings(key, size, classes),
  )


_PIXELS = 8  # of an image's side
_WAVE = 4.0  # pixels from crest to crest


def gratings(
  key: base.Key, size: int, classes: int
) -> tuple[base.Array, base.Array]:
  """Waves of one length and any phase, in standard normal noise.

      x(u) = cos(2 pi / 4 (u_1 cos a + u_2 sin a) + phase) + noise,

  a = pi y / classes. Since the phase is uniform, the mean image of every class
  is zero, and no linear classifier does better than a guess.

  Args:
    key: it is consumed.
    size: how many images.
    classes: how many orientations.

  Returns:
    `[size, 8, 8, 1]` images, and `[size]` labels.
  """
  y = jax.random.randint(keys.stream(key, 'labels'), (size,), 0, classes)
  phase = jax.random.uniform(
    keys.stream(key, 'phases'), (size, 1, 1), maxval=2 * jnp.pi
  )
  angle = (jnp.pi / classes * y.astype(float)).reshape(size, 1, 1)
  u = jnp.arange(_PIXELS, dtype=float).reshape(1, _PIXELS, 1)
  along = u * jnp.cos(angle) + u.reshape(1, 1, _PIXELS) * jnp.sin(angle)
  wave = jnp.cos(2 * jnp.pi / _WAVE * along + phase)
  noise = jax.random.normal(keys.stream(key, 'noise'), wave.shape)
  return (wave + noise)[..., None], y


MODELS: dict[str, Callable[..., Model]] = {
  'transformer': transformer,
  'convnet': convnet,
}
