"""The lab's transformer as encoder, its audit and its theory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import attention, base, encoder_gradients, experiment, keys
from initlab import losses
from initlab.experiment import knob
from initlab.models import snapshot, transformer

VOCABULARY = 256  # so that two tokens are rarely the same word
_READOUT = 0.02  # its standard deviation: softmax is even, as in GPT-2
_FEED_FORWARD = 4  # hidden units of the feed-forward layer over the width


@experiment.config
class Encoder:
  """Blocks of full attention and ReLU layers, on sequences of random words.

  Kernels of the blocks have variance 1 / n_in, as Xavier's do if square; words
  and positions together have variance 1. The readout is small, so gradients of
  the logits are those of the labels alone, and not correlated.
  """

  width: int = knob(128, 'the units of the stream', least=4)
  heads: int = knob(4, 'of attention', least=1)
  tokens: int = knob(32, 'the length of a sequence', least=2)
  blocks: int = knob(12, 'attention and a feed-forward layer, each', least=1)
  sequences: int = knob(4, 'of the batch', least=1)

  def check(self) -> None:
    """Refuses heads that do not share the units evenly."""
    with experiment.blaming(self, 'heads'):
      self.sizes()

  def sizes(self) -> transformer.Config:
    """Of the transformer."""
    return transformer.Config(
      VOCABULARY,
      self.tokens,
      width=self.width,
      heads=self.heads,
      blocks=self.blocks,
      expansion=_FEED_FORWARD,
    )

  def draw(self, key: base.Key) -> Any:
    """The parameters."""
    half = f'normal:std={0.5**0.5}'
    chosen = {'embedding': half, 'position': half}
    chosen['readout'] = f'normal:std={_READOUT}'
    return transformer.init(keys.stream(key, 'init'), self.sizes(), chosen)

  def options(self) -> dict[str, Any]:
    """Of `transformer.stream`."""
    return {'activation': jax.nn.relu, 'causal': False}

  def start(self) -> attention.Signal:
    """The stream before the first block, of random words."""
    return attention.Signal(0.0, 1.0, 0.5 / self.sizes().vocabulary)

  def words(self, key: base.Key) -> base.Array:
    """Random words, `[B, T]`."""
    key = keys.stream(key, 'data')
    shape = self.sequences, self.tokens
    return jax.random.randint(key, shape, 0, self.sizes().vocabulary)


def audited(config: Encoder, key: base.Key) -> snapshot.Snapshot:
  """Of one draw with the cross entropy of random labels."""

  def loss(params, words, labels):
    logits = transformer.apply(params, words, **config.options())
    each = jax.vmap(jax.vmap(losses.cross_entropy))(logits, labels)
    return jnp.mean(each)

  labels = config.words(keys.stream(key, 'labels'))
  batch = (config.words(key), labels)
  look = snapshot.of_model(config.draw, loss, batch)
  return look(config.draw(key), batch)


def pulled_back(config: Encoder, key: base.Key) -> snapshot.Snapshot:
  """Of one draw's stream, down from a standard normal cotangent of it."""
  stream = lambda params, words: transformer.stream(
    params, words, **config.options()
  )
  batch = (config.words(key),)
  look = snapshot.of_model(config.draw, stream, batch)
  return look(config.draw(key), batch, keys.stream(key, 'down'))


def norm_of(found: snapshot.Snapshot, site: str, size: int) -> base.Array:
  """|dC/dW| of the weights of a block, of so many entries, `[L]`."""
  return size**0.5 * found.sites[site]['weight_gradient']


def theory(config: Encoder, **knobs: Any) -> attention.Block:
  """The block as `initlab.attention` has it."""
  n = config.width
  return attention.Block(
    width=n,
    hidden=_FEED_FORWARD * n,
    tokens=config.tokens,
    query=1 / n,
    key=1 / n,
    value=1 / n,
    output=1 / n,
    up=1 / n,
    down=1 / (_FEED_FORWARD * n),
    **knobs,
  )


def gradient_norms(config: Encoder, block: attention.Block) -> np.ndarray:
  """|dC/dW_2| of the feed-forward layers, by theory, `[L]`.

  Each is a sum over T tokens of h_i d_i, of the hidden units and the gradients
  of the branch's output, so its square is, of B sequences whose gradients are
  not correlated,

      B n 4 n b^2 (T E h_i^2 E d_i^2 + T (T - 1) E h_i h_j E d_i d_j).

  On top the gradient of a logit has E |p - y|^2 = 1 of many words.
  """
  n, tokens, count = config.width, config.tokens, config.blocks
  path = attention.encoder(config.start(), count, block)
  downward = encoder_gradients.gradients(config.start(), count, block)
  steps = attention.branches(config.start(), count, block)[1::2]
  top = _READOUT**2 / path[-1].square / (config.sequences * tokens) ** 2
  found = []
  for step, gradient in zip(steps, downward[1:], strict=True):
    hidden = attention.linear(step.inside, n, block.up)
    hidden = attention.activate(hidden, block.activation)
    scale = top / (step.sum.square if block.norm == 'post' else 1)
    same = hidden.square * gradient.variance
    other = hidden.product * gradient.covariance
    pairs = tokens * same + tokens * (tokens - 1) * other
    found.append(scale * block.branch**2 * pairs)
  size = config.sequences * _FEED_FORWARD * n**2
  return np.sqrt(size * np.array(found))
