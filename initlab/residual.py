"""Residual networks: how the stream grows, and the scales that tame it.

A block adds to the stream x_l what its branch makes of it,

    x_{l+1} = a x_l + b F(x_l),            l = 0, ..., L - 1,

with the scale b of the branch and a of the skip, which is 1 unless it is given.
At initialization the branch ends in random weights of zero mean, so F(x) is
uncorrelated with x, and the variance q of the stream obeys

    q_{l+1} = a^2 q_l + b^2 Var F.

The backward pass has the same form: a branch whose Jacobian multiplies the mean
square of a gradient by chi makes it a^2 + b^2 chi times as large in a block.

References:
  Zhang, Dauphin & Ma, Fixup initialization, 2019.
  https://arxiv.org/abs/1901.09321
  De & Smith, Batch normalization biases residual blocks towards the identity
  function in deep networks, 2020. https://arxiv.org/abs/2002.10444
  Yang & Schoenholz, Mean field residual networks: on the edge of chaos, 2017.
  https://arxiv.org/abs/1712.08969
  Xiong et al., On layer normalization in the transformer architecture, 2020.
  https://arxiv.org/abs/2002.04745
"""

from typing import NamedTuple

import numpy as np

from initlab import activations, base, functions, meanfield


class Stream(NamedTuple):
  """What passes a residual network of L blocks.

  variance: q_l before block 1, ..., and after block L, `[L + 1]`.
  gradient: the mean square of dC/dx_l over that of dC/dx_L, `[L + 1]`.
  """

  variance: np.ndarray
  gradient: np.ndarray


def plain(
  depth: int,
  *,
  branch: float = 1.0,
  gain: float = 1.0,
  skip: float = 1.0,
  start: float = 1.0,
) -> Stream:
  """Branches that keep the variance, up to `gain`: F has the variance gain q.

      q_l = (a^2 + b^2 gain)^l q_0,

  2^l with He's weights and no scale, (1 + 1/L)^l with b = 1 / sqrt(L) (Zhang et
  al., 2019; De & Smith, 2020). Positively homogeneous
  branches multiply gradients by the same number.

  Args:
    depth: L.
    branch, skip: b and a.
    gain: E F^2 / E x^2, and that of the branch's Jacobian.
    start: q_0.

  Examples:
    >>> plain(3).variance
    array([1., 2., 4., 8.])
    >>> float(plain(100, branch=100**-0.5).variance[-1].round(4))
    2.7048
  """
  factor = _square(skip) + _square(branch) * gain
  powers = factor ** np.arange(_depth(depth) + 1.0)
  return Stream(start * powers, powers[::-1])


def pre_normalized(
  depth: int,
  *,
  branch: float = 1.0,
  variance: float = 1.0,
  slope: float | None = None,
  start: float = 1.0,
) -> Stream:
  """Branches that see a normalized stream: F has the same variance in all.

      q_l = q_0 + b^2 v l,

  so block l adds a share 1 / l, and deep blocks are near the identity (De &
  Smith, 2020, of batch normalization; Xiong et al., 2020, of Pre-LN). The
  Jacobian of a branch has chi / q_l, since normalization divides by sqrt(q_l),
  so a gradient grows by

      prod_l (1 + b^2 chi / q_l),

  which is q_L / q_0 if chi = v, as of linear and of ReLU branches: a power of
  the depth.

  Args:
    depth: L.
    branch: b.
    variance: v, of F at a stream of variance 1.
    slope: chi of F there; v if None.
    start: q_0.
  """
  v, chi = variance, variance if slope is None else slope
  q = start + _square(branch) * v * np.arange(_depth(depth) + 1.0)
  factors = 1 + _square(branch) * chi / q[:-1]
  return Stream(q, _downward(factors))


def post_normalized(
  depth: int,
  *,
  branch: float = 1.0,
  skip: float = 1.0,
  variance: float = 1.0,
  slope: float | None = None,
) -> Stream:
  """Blocks x -> normalize(a x + b F(x)): the stream has variance 1 in all.

  A gradient is multiplied by (a^2 + b^2 chi) / (a^2 + b^2 v) a block: by 1 if
  chi = v, and otherwise it is exponential in the depth.

  Args:
    depth: L.
    branch, skip: b and a.
    variance, slope: as for `pre_normalized`.
  """
  v, chi = variance, variance if slope is None else slope
  skip, branch = _square(skip), _square(branch)
  factor = (skip + branch * chi) / (skip + branch * v)
  factors = np.full(_depth(depth), factor)
  return Stream(np.ones(depth + 1), _downward(factors))


def propagate(
  activation: functions.Named,
  q: float,
  c: float,
  depth: int,
  weight_variance: float,
  bias_variance: float,
  branch: float = 1.0,
) -> meanfield.Path:
  """Two examples through blocks x + b (W f(x) + bias): variance, correlation.

      q' = q + b^2 (sw2 E f(u)^2 + sb2),
      p' = p + b^2 (sw2 E f(u_1) f(u_2) + sb2),       p = c q

  (Yang & Schoenholz, 2017, of their reduced residual network).
  """
  f = activations.resolve(activation)
  path = [(float(q), float(c))]
  square = _square(branch)
  for _ in range(_depth(depth)):
    q, c = path[-1]
    pair = meanfield.pair_averages(f, q, c)
    after = q + square * (weight_variance * float(pair.square) + bias_variance)
    apart = q * (1 - c) + square * weight_variance * float(pair.distance)
    path.append((after, 1 - apart / after))
  return meanfield.Path(*np.array(path).T)


# The scales of published schemes.


def fixup(blocks: int, weights: int, index: int) -> float:
  """What Fixup multiplies the index-th weight of a branch by, 1 <= index <= m.

      L^(-1 / (2 m - 2)) of all but the last, 0 of the last,

  on top of a standard scheme such as He's, where L is the number of branches
  and m that of weights in one. The classifier starts at zero, too. A scalar
  bias 0 comes before each weight and each activation, and a scalar factor 1 in
  each branch (Zhang et al., 2019, rules 1-3 of Fixup).

  Examples:
    >>> [round(fixup(16, 3, index), 3) for index in (1, 2, 3)]
    [0.5, 0.5, 0.0]
  """
  _depth(blocks)
  if not (weights >= 1 and 1 <= index <= weights):
    raise base.UserError(
      f'a branch of {weights} weights has none of index {index}'
    )
  if index == weights:
    return 0.0
  return float(blocks ** (-1 / (2 * weights - 2)))


def skip_init(blocks: int, zero: bool = True) -> float:
  """The learned scalar at the end of a branch: 0, or 1 / sqrt(L).

  De & Smith, 2020 (SkipInit). With 0 every block is the identity, as in ReZero
  (Bachlechner et al., ReZero is all you need, 2020).
  """
  _depth(blocks)
  return 0.0 if zero else blocks**-0.5


def layer_scale(depth: int) -> float:
  """The initial diagonal of LayerScale: 0.1 to depth 18, 1e-5 to 24, then 1e-6.

  Touvron et al., Going deeper with image transformers, 2021.
  """
  return 0.1 if _depth(depth) <= 18 else 1e-5 if depth <= 24 else 1e-6


def depth_power(blocks: int, power: float = 0.5) -> float:
  """L^-power, the scale of a branch: 0.5 in depth-muP, 1 in CompleteP.

  Yang, Yu, Zhu & Hayou, Tensor programs VI, 2023; Dey et al., Don't be lazy:
  CompleteP enables compute-efficient deep transformers, 2025.
  """
  return float(_depth(blocks) ** -power)


def gpt2(layers: int) -> float:
  """1 / sqrt(2 N), of weights that end in the residual stream of N blocks.

  Radford et al., Language models are unsupervised multitask learners, 2019,
  section 2.3: 1 / sqrt of the number of residual layers, two a block.
  """
  return float((2 * _depth(layers)) ** -0.5)


class DeepNorm(NamedTuple):
  """Of x -> normalize(alpha x + F(x)), with weights of F times beta."""

  alpha: float
  beta: float


def deep_norm(layers: int) -> DeepNorm:
  """alpha = (2 N)^(1/4) and beta = (8 N)^(-1/4), of N blocks of one kind.

  beta goes to the value, output and feed-forward weights (Wang et al., DeepNet:
  scaling transformers to 1,000 layers, 2022).
  """
  n = _depth(layers)
  return DeepNorm((2 * n) ** 0.25, (8 * n) ** -0.25)


def t_fixup(layers: int, part: str = 'decoder') -> float:
  """What T-Fixup multiplies value, output and feed-forward weights by.

  (9 N)^(-1/4) in a decoder of N blocks, and of all embeddings; 0.67 N^(-1/4) in
  an encoder. The weights are Glorot's, embeddings N(0, d^-1/2), and there is no
  normalization (Huang, Perez, Ba & Volkovs, Improving transformer optimization
  through better initialization, 2020, algorithm of T-Fixup).
  """
  n = _depth(layers)
  scales = {
    'decoder': (9 * n) ** -0.25,
    'embedding': (9 * n) ** -0.25,
    'encoder': 0.67 * n**-0.25,
  }
  return float(base.lookup(scales, 'part of a transformer', part))


def layer_norm_scaling(index: int) -> float:
  """1 / sqrt(l), of the output of the normalization in block l >= 1.

  The stream then has the variance q_0 + sum v / l, a logarithm of the depth
  (Sun et al., The curse of depth in large language models, 2025).
  """
  return float(_depth(index) ** -0.5)


def _downward(factors: np.ndarray) -> np.ndarray:
  """prod of the factors from l on, and 1 at the end."""
  return np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def _square(scale: float) -> float:
  return float(scale) ** 2


def _depth(depth: int) -> int:
  if depth < 1:
    raise base.UserError(f'a depth is at least 1, not {depth}')
  return depth
