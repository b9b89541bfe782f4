"""Gradients of the stream of a transformer at initialization.

The way down through the blocks whose way up `attention` has: moments of the
entries of dC/dx, of one token and of two, at every depth.

References:
  Kedia et al., Transformers get stable: an end-to-end signal propagation theory
  for language models, 2024. https://arxiv.org/abs/2403.09635
  Xiong et al., On layer normalization in the transformer architecture, 2020.
  https://arxiv.org/abs/2002.04745
"""

from initlab import attention, functions, meanfield
from initlab.attention import Block, Signal


def gradients(signal: Signal, layers: int, block: Block) -> list[Signal]:
  """dC/dx of the stream, where that of x_N has variance 1 and covariance 0.

  Through values and feed-forward layers, without what comes by way of queries
  and keys. Backward a token's gradient is mixed as its values were: with G the
  variance and H the covariance of two tokens,

      G' = s (G E sum p^2 + H (T - 1) E sum p p'),
      H' = s (G (1 - E sum p^2) / (T - 1) + H (1 - E sum p p')),

  in which s = n Var[w_V] n Var[w_O] and the sums are `attention.overlap`; it
  follows from sum_j p_ij = 1 and the symmetry of keys. A feed-forward layer
  multiplies G by E f'(u)^2 and H by E f'(u) f'(u') times its weights' s.

  Args:
    signal, layers, block: as of `encoder`.

  Returns:
    Before the first block and after each, `layers + 1` of them.
  """
  found = [Signal(0.0, 1.0, 0.0)]
  steps = attention.branches(signal, layers, block)
  for index in reversed(range(2 * layers)):
    step, above = steps[index], found[-1]
    if block.norm == 'post':
      above = _normalized(above, step.sum, block)
    back = (_attended, _fed)[index % 2](above, step.inside, block)
    if block.norm == 'pre':
      back = _normalized(back, step.before, block)
    back = attention.dropout(back, block.dropout)
    found.append(attention.add(above, back, block.skip, block.branch))
  return found[::-2]


def _attended(gradient: Signal, inside: Signal, block: Block) -> Signal:
  """What attention makes of a gradient, by way of the values."""
  variance, others = attention.logit_variance(inside, block), block.tokens - 1
  own, other = (
    attention.overlap(variance, block.tokens, r)
    for r in (1.0, min(inside.cosine, 1.0))
  )
  g, h = gradient.variance, gradient.covariance
  mixed = Signal(
    0.0,
    g * own + h * others * other,
    g * (1 - own) / max(others, 1) + h * (1 - other),
  )
  return attention.linear(
    mixed, block.width, block.width * block.value * block.output
  )


def _fed(gradient: Signal, inside: Signal, block: Block) -> Signal:
  """What a feed-forward layer makes of a gradient."""
  hidden = attention.linear(inside, block.width, block.up)
  sloped = _sloped(gradient, hidden, block.activation)
  scale = block.hidden * block.up * block.down
  return attention.linear(sloped, block.width, scale)


def _normalized(gradient: Signal, stream: Signal, block: Block) -> Signal:
  """What a norm of this stream makes of a gradient.

  A layer norm divides it by the deviation of the stream, and takes of it a
  share 1 / n, which is neglected.
  """
  if block.elementwise is None:
    return attention.linear(gradient, 1, 1 / stream.square)
  return _sloped(gradient, stream, block.elementwise)


def _sloped(
  gradient: Signal, signal: Signal, activation: functions.Named
) -> Signal:
  """f'(u) times a gradient."""
  own, other = (
    float(meanfield.pair_averages(activation, signal.square, c).slope)
    for c in (1.0, min(signal.cosine, 1.0))
  )
  return Signal(0.0, gradient.variance * own, gradient.covariance * other)
