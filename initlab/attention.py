"""Moments of transformers at initialization, component by component.

A `Signal` says what a random transformer has of its stream: the mean and the
variance of an entry, over features, and the covariance of two tokens in one
feature. Weights are independent with zero mean and the variances given, of wide
layers; tokens are exchangeable. Each component maps a Signal to a Signal, in
closed form unless it says otherwise, and `encoder` iterates whole blocks.

References:
  Kedia et al., Transformers get stable: an end-to-end signal propagation theory
  for language models, 2024 (whose moments these are; derived anew here).
  https://arxiv.org/abs/2403.09635
  Noci et al., Signal propagation in transformers: theoretical perspectives and
  the role of rank collapse, 2022. https://arxiv.org/abs/2206.03126
  Giorlandino & Goldt, Two failure modes of deep transformers and how to avoid
  them, 2025. https://arxiv.org/abs/2505.24333
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from initlab import activations, base, functions, meanfield

_STEP = 0.4  # of the logarithms over which `overlap` integrates
_FINE = 0.1  # of those between which it interpolates, to 1e-7


class Signal(NamedTuple):
  """Moments of the entries x_if of tokens i and features f.

  mean: E x_if.
  variance: Var x_if.
  covariance: Cov(x_if, x_jf) of two tokens.
  """

  mean: float
  variance: float
  covariance: float

  @property
  def square(self) -> float:
    """E x_if^2."""
    return self.variance + self.mean**2

  @property
  def product(self) -> float:
    """E x_if x_jf."""
    return self.covariance + self.mean**2

  @property
  def cosine(self) -> float:
    """Of two tokens, E x_if x_jf / E x_if^2: 1 after rank collapse."""
    return self.product / self.square


def linear(signal: Signal, n_in: int, weight_variance: float) -> Signal:
  """x W: mean 0, n_in Var[w] E x^2, and n_in Var[w] E x_i x_j."""
  scale = n_in * weight_variance
  return Signal(0.0, scale * signal.square, scale * signal.product)


def activate(signal: Signal, activation: functions.Named) -> Signal:
  """f(x) of normal x with mean 0, by quadrature: see `meanfield.pair_averages`.

  Raises:
    UserError: the mean is not 0.
  """
  q, cosine = _centred(signal)
  pair = meanfield.pair_averages(activation, q, cosine)
  f = activations.resolve(activation)
  mean = float(activations.moments(f, np.asarray(q))[0])
  square = float(pair.square) - mean**2
  return Signal(mean, square, float(pair.product) - mean**2)


def relu(signal: Signal) -> Signal:
  """max(x, 0) of normal x with mean 0, variance q and correlation r.

      E = sqrt(q / (2 pi)),      E x^2 = q / 2,
      E x_i x_j = q (sqrt(1 - r^2) + (pi - arccos r) r) / (2 pi)

  (Cho & Saul, 2009, eq. 6).
  """
  q, r = _centred(signal)
  mean = math.sqrt(q / (2 * math.pi))
  product = math.sqrt(1 - r**2) + (math.pi - math.acos(r)) * r
  product *= q / (2 * math.pi)
  return Signal(mean, q / 2 - mean**2, product - mean**2)


def gelu(signal: Signal) -> Signal:
  """x Phi(x) of normal x with mean 0 and variance q.

      E = q / sqrt(2 pi (1 + q)),
      E x^2 = q / 4 + q / (2 pi) (arcsin(q / (1 + q))
                                  + 2 q / ((1 + q) sqrt(1 + 2 q))),

  and the covariance by quadrature.
  """
  q, _ = _centred(signal)
  mean = q / math.sqrt(2 * math.pi * (1 + q))
  share = q / (1 + q)
  tail = math.asin(share) + 2 * share / math.sqrt(1 + 2 * q)
  square = q / 4 + q / (2 * math.pi) * tail
  return Signal(mean, square - mean**2, activate(signal, 'gelu').covariance)


def dropout(signal: Signal, rate: float) -> Signal:
  """x m / (1 - p), with a mask m of its own for each entry.

  The variance is (Var x + p (E x)^2) / (1 - p); two tokens covary as before.
  """
  if not 0 <= rate < 1:
    raise base.UserError(f'a rate of dropout is in [0, 1), not {rate}')
  variance = (signal.variance + rate * signal.mean**2) / (1 - rate)
  return signal._replace(variance=variance)


def layer_norm(signal: Signal) -> Signal:
  """(x - mean) / deviation over the features of a token: variance 1."""
  return Signal(0.0, 1.0, signal.covariance / signal.variance)


def add(skip: Signal, branch: Signal, a: float = 1.0, b: float = 1.0) -> Signal:
  """a x + b F(x), of a branch that ends in weights of mean 0."""
  return Signal(
    a * skip.mean + b * branch.mean,
    a**2 * skip.variance + b**2 * branch.variance,
    a**2 * skip.covariance + b**2 * branch.covariance,
  )


@functools.lru_cache(maxsize=1024)
def overlap(variance: float, tokens: int, correlation: float = 1.0) -> float:
  """E sum_j p_j p'_j of the softmax weights of two queries over T keys.

  The logits s_j and s'_j are normal with a variance v and this correlation r,
  and independent over keys. With r = 1 it is E sum p^2, between 1 / T, of equal
  weights, and 1, of a key that has all. Since 1 / Z = int e^(-t Z) dt, it is

      T int int E[e^(s + s') D(t, t')] E[D(t, t')]^(T - 1) dt dt',
      D(t, t') = e^(-t e^s - t' e^s'),

  by quadrature to 1e-6, for any v. For e^(2 v) << T it is e^(r v) / T, of which
  Kedia et al. (2024) and Noci et al. (2022) make use; beyond v = 2 ln T a few
  keys take all, see `condensation`.

  Examples:
    >>> round(overlap(0.0, 10), 6), round(overlap(0.1, 1000, 0.5), 5)
    (0.1, 0.00105)
  """
  tokens, v = _tokens(tokens), variance
  if not (v >= 0 and abs(correlation) <= 1):
    raise base.UserError('logits have a variance, and a correlation in [-1, 1]')
  deviation = math.sqrt(v)
  nodes, density = _normal(deviation)
  s, reach = deviation * nodes, 6 * deviation
  # Of ln t and ln t', by the trapezoidal rule, which is exact to 1e-8 here.
  u = np.arange(-math.log(tokens) - reach - 18, reach + 5, _STEP)
  own = np.exp(u[:, None] + s)
  decay = density * np.exp(-own)
  if correlation == 1:
    # D depends on t + t' alone, so one integral is left.
    empty, loaded, cell = (
      decay.sum(axis=1),
      (own * (own * decay)).sum(axis=1),
      _STEP,
    )
  else:
    others = _faded(u, s, density, correlation)
    empty, loaded = decay @ others[0], (own * decay) @ others[1]
    cell = _STEP**2
  integrand = loaded * np.clip(empty, 0.0, 1.0) ** (tokens - 1)
  return float(tokens * integrand.sum() * cell)


def _faded(
  u: np.ndarray, s: np.ndarray, density: np.ndarray, correlation: float
) -> np.ndarray:
  """Averages of D and of e^s' t' D over what s' has of its own, given s.

  Both are functions of ln t' + r s, tabulated and interpolated.

  Returns:
    `[2, Z, U]`, of Z logits s and U values of ln t'.
  """
  from scipy import interpolate

  shifts = correlation * s
  x = np.arange(u[0] + shifts.min(), u[-1] + shifts.max() + _FINE, _FINE)
  x = np.append(x, x[-1] + _FINE)
  rate = np.exp(x[:, None] + math.sqrt(1 - correlation**2) * s)
  faded = np.exp(-rate)
  averages = np.stack([faded @ density, (rate * faded) @ density])
  table = interpolate.CubicSpline(x, averages, axis=1)
  return table(u + shifts[:, None])


def _normal(deviation: float) -> tuple[np.ndarray, np.ndarray]:
  """Nodes and weights of averages over a standard normal number, `[Z]` each.

  By the trapezoidal rule: as far apart as 0.25, or 0.4 of what they deviate.
  """
  z, step = np.linspace(
    -8, 8, max(64, math.ceil(16 * deviation / _STEP)) + 1, retstep=True
  )
  return z, float(step) * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


@functools.lru_cache(maxsize=1024)
def entropy(variance: float, tokens: int) -> float:
  """E -sum_j p_j ln p_j of the softmax weights of a query over T keys, in nats.

  Of normal logits with a variance v, independent over keys. Since E s_j p_j =
  v E p_j (1 - p_j), and d E ln Z / dv = (1 - E sum p^2) / 2, it is

      ln T + (1/2) int_0^v (1 - y(u)) du - v (1 - y(v)),

  with y(v) = E sum p^2 of `overlap`; by quadrature. Of many keys it is
  ln T - v / 2 up to v = 2 ln T, and from there on bounded, see `condensation`.

  Examples:
    >>> round(entropy(0.0, 10), 6), round(entropy(0.1, 1000), 4)
    (2.302585, 6.8578)
  """
  # In the deviation of the logits, of which 1 - y is smooth.
  nodes, weights = np.polynomial.legendre.leggauss(32)
  steps = variance**0.5 * (1 + nodes) / 2
  spread = [2 * step * (1 - overlap(step**2, tokens)) for step in steps]
  integral = variance**0.5 / 2 * float(weights @ np.array(spread))
  last = variance * (1 - overlap(variance, tokens))
  return math.log(_tokens(tokens)) + integral / 2 - last


def condensation(tokens: int) -> float:
  """2 ln T: the variance of logits above which a few keys have all the weight.

  As of the random energy model of T levels (Giorlandino & Goldt, 2025). At a
  finite T it is a crossover.
  """
  return 2 * math.log(_tokens(tokens))


class Block(NamedTuple):
  """One encoder block. Variances are those of the weights' entries.

  width: n of the stream; hidden: of the feed-forward layer; tokens: T.
  query, key, value, output: of the attention's weights.
  up, down: of the feed-forward weights.
  activation: f of the feed-forward layer.
  dropout: rate p, after each branch.
  norm: 'pre', 'post' or 'none'.
  skip, branch: a and b of a x + b F(x).
  elementwise: a function in place of the layer norm, as tanh of Dynamic Tanh
    (Zhu et al., 2025); None for the layer norm.
  """

  width: int
  hidden: int
  tokens: int
  query: float
  key: float
  value: float
  output: float
  up: float
  down: float
  activation: functions.Named = 'relu'
  dropout: float = 0.0
  norm: str = 'pre'
  skip: float = 1.0
  branch: float = 1.0
  elementwise: functions.Named | None = None


def normalize(signal: Signal, block: Block) -> Signal:
  """What a norm of the block makes of the stream."""
  if block.elementwise is None:
    return layer_norm(signal)
  return activate(signal, block.elementwise)


def logit_variance(signal: Signal, block: Block) -> float:
  """Var over keys of x_i W_Q W_K^T x_j / sqrt(d), for one query.

      n^2 Var[w_Q] Var[w_K] E x_i^2 (Var x - Cov x):

  what all keys have in common drops out of the softmax.
  """
  scale = block.width**2 * block.query * block.key
  return scale * signal.square * max(signal.variance - signal.covariance, 0.0)


def attend(signal: Signal, block: Block) -> Signal:
  """Softmax attention, values and output weights.

  With v_j of variance V and covariance C, what a query gets has the variance
  C + (V - C) E sum p^2, and two queries covary by C + (V - C) E sum p p'. The
  logits of two queries have the correlation of their queries, the cosine of the
  tokens. Logits of variance 0 give both 1 / T (Noci et al., 2022, of uniform
  attention): rank collapse at its fastest.
  """
  values = linear(signal, block.width, block.value)
  variance = logit_variance(signal, block)
  own = values.variance - values.covariance
  found = [
    values.covariance + own * overlap(variance, block.tokens, r)
    for r in (1.0, min(signal.cosine, 1.0))
  ]
  return linear(Signal(0.0, *found), block.width, block.output)


def feed_forward(signal: Signal, block: Block) -> Signal:
  """f(x W_1) W_2."""
  hidden = linear(signal, block.width, block.up)
  exact = block.activation == 'relu'
  hidden = relu(hidden) if exact else activate(hidden, block.activation)
  return linear(hidden, block.hidden, block.down)


def slopes(signal: Signal, block: Block) -> tuple[float, float]:
  """What the branches multiply the mean square of a gradient by.

  Attention, by way of the values alone: n Var[w_V] n Var[w_O] E sum p^2, if the
  gradients of tokens are uncorrelated. Feed-forward: n Var[w_1] n_1 Var[w_2]
  E f'^2. Dropout divides both by 1 - p. They are the chi of `residual`.
  """
  kept = 1 - block.dropout
  share = overlap(logit_variance(signal, block), block.tokens, 1.0)
  attention = block.width**2 * block.value * block.output * share
  q = block.width * block.up * signal.square
  f = activations.resolve(block.activation)
  slope = float(activations.moments(f, np.asarray(q))[2])
  forward = block.width * block.up * block.hidden * block.down * slope
  return attention / kept, forward / kept


class Branch(NamedTuple):
  """One branch: the stream before it, what it reads, and their sum."""

  before: Signal
  inside: Signal
  sum: Signal


def branches(signal: Signal, layers: int, block: Block) -> list[Branch]:
  """Attention and feed-forward of each block in turn, two a block."""
  base.lookup({'pre': 0, 'post': 0, 'none': 0}, 'norm', block.norm)
  found = []
  for part in (attend, feed_forward) * layers:
    inside = normalize(signal, block) if block.norm == 'pre' else signal
    branch = dropout(part(inside, block), block.dropout)
    total = add(signal, branch, block.skip, block.branch)
    found.append(Branch(signal, inside, total))
    signal = normalize(total, block) if block.norm == 'post' else total
  return found


def encoder(signal: Signal, layers: int, block: Block) -> list[Signal]:
  """The stream before the first block and after each, `layers + 1` of them."""
  last = lambda step: (
    normalize(step.sum, block) if block.norm == 'post' else step.sum
  )
  return [signal, *map(last, branches(signal, layers, block)[1::2])]


def deep_scale(
  layers: int,
  width: int,
  tokens: int,
  *,
  cosine: float,
  dropout: float = 0.0,
  k: float = 2.0,
) -> Block:
  """DeepScaleLM: the block in which the stream keeps its variance of 1.

      a^2 = 1 - k / N,      b^2 = k / N,
      Var[w_V] = Var[w_O] = (1 / n) sqrt((1 - p) / r),
      Var[w_1] = Var[w_2] = (1 / n) sqrt((1 - p) / 2),

  with four hidden units for each of the stream, ReLU, and r the cosine of two
  tokens, which attention leaves of the variance. Queries and keys have
  Var = 1 / n (Kedia et al., 2024).

  Args:
    layers: N.
    width, tokens: of the block.
    cosine: r, in the middle of the network.
    dropout: p.
    k: how much of the stream the branches make in all.
  """
  if not (0 < cosine <= 1 and 0 < k < layers):
    raise base.UserError(
      'cosine is in (0, 1], and k below the number of layers'
    )
  attention = math.sqrt((1 - dropout) / cosine) / width
  forward = math.sqrt((1 - dropout) / 2) / width
  return Block(
    width=width,
    hidden=4 * width,
    tokens=tokens,
    query=1 / width,
    key=1 / width,
    value=attention,
    output=attention,
    up=forward,
    down=forward,
    dropout=dropout,
    skip=math.sqrt(1 - k / layers),
    branch=math.sqrt(k / layers),
  )


def _centred(signal: Signal) -> tuple[float, float]:
  if signal.mean != 0:
    raise base.UserError('the input of an activation has mean 0 here')
  return signal.variance, min(signal.cosine, 1.0)


def _tokens(tokens: int) -> int:
  if tokens < 1:
    raise base.UserError(f'there is at least one token, not {tokens}')
  return tokens
