"""Small models that come with the lab, to be audited and compared.

Each function returns `(init, model, batch)`: `init(key) -> params` and
`model(params, *batch) -> loss`.
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

Model = tuple[Callable[[base.Key], Any], Callable[..., base.Array], tuple]

_EXAMPLES = 16


def transformer(blocks: int = 4) -> Model:
  """A pre-norm transformer of a language that needs attention."""
  language = languages.induction()
  sizes = transformers.Config(
    vocabulary=language.vocabulary, length=language.length, blocks=blocks
  )
  key = keys.stream(keys.root(0), 'examples')
  sequences = language.draw(key, _EXAMPLES)

  def model(params: Any, sequences: languages.Sequences) -> base.Array:
    logits = transformers.apply(params, sequences.tokens)
    return languages.loss(logits, sequences)

  return lambda key: transformers.init(key, sizes), model, (sequences,)


def convnet(blocks: int = 4) -> Model:
  """A residual ConvNet on images of noise with random labels."""
  sizes = convnets.Config(channels=3, classes=10, blocks=blocks)
  key = keys.stream(keys.root(0), 'examples')
  images = jax.random.normal(keys.at(key, 0), (_EXAMPLES, 16, 16, 3))
  labels = jnp.arange(_EXAMPLES) % sizes.classes

  def model(params: Any, x: base.Array, y: base.Array) -> base.Array:
    logits = convnets.apply(params, x)
    return jnp.mean(jax.vmap(losses.cross_entropy)(logits, y))

  return lambda key: convnets.init(key, sizes), model, (images, labels)


MODELS: dict[str, Callable[[], Model]] = {
  'transformer': transformer,
  'convnet': convnet,
}
