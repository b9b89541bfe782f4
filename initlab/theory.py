"""Mean-field predictions of the probes.

Given the input x, the pre-activations of layer l are Gaussian across units,
with mean b (the constant bias) and variance

    q_l = n_{l-1} Var[w_l] E z_{l-1}^2 + Var[b_l],      E z_0^2 = |x|^2 / n_0,

and going backward, with independent weights,

    E (dC/ds_l)^2 = n_{l+1} Var[w_{l+1}] E (dC/ds_{l+1})^2 E f'(s_l)^2.

Averages over the batch are taken last: images differ in |x|^2, and an averaged
q has an error of several percent, whereas each image's own is exact at infinite
width. Averages over units are those of a wide layer: the standard deviation of
few units with a common mean, such as logits, is smaller by up to 1/(2 n_l).
Pairs of examples are described by the Gram matrix of the batch, see `grams`.

At a finite width n_l the q_l of one network is random, with a relative variance
of the order of sum_l 1/n_l, see `width_error`. For positively homogeneous
activations (the ReLU's family) the expectation of its logarithm is known, too.

References:
  Glorot & Bengio, 2010, eq. 5-7 and 14 (with corrected indices).
  Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, Deep information propagation,
  2017, sections 2 and 4, for the nonlinear recursions.
  Hanin & Nica, Products of many large random matrices and gradients in deep
  neural networks, 2019, theorem 1, for the finite widths.
"""

from collections.abc import Callable, Sequence
import itertools
from typing import NamedTuple

import numpy as np

from initlab import activations, base, grams, losses, probes, roots

# The means of the singular values of a wide square matrix of independent
# entries of variance 1 / n, which follow the quarter-circle law
# sqrt(4 - x^2) / pi on [0, 2]: of x, of x^2 and of log x.
ARITHMETIC_MEAN = 8 / (3 * np.pi)
RMS = 1.0
GEOMETRIC_MEAN = float(np.exp(-0.5))

# Most values of a smooth function that are computed, not interpolated.
_TABULATED = 64

_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(96)


class WeightLaw(NamedTuple):
  """The distributions of the weights and biases of one layer.

  n_in, n_out: its widths.
  weights: the declared or estimated law.
  bias_variance: of its biases, beyond their common constant.
  """

  n_in: int
  n_out: int
  weights: base.Law
  bias_variance: float


def layers(
  scheme: base.Scheme, widths: Sequence[int], **knobs: float
) -> tuple[WeightLaw, ...]:
  """The laws of the layers of a network with one scheme."""
  return tuple(
    WeightLaw(
      n_in,
      n_out,
      scheme.law(n_in, n_out, **knobs),
      scheme.bias_variance(n_in, n_out),
    )
    for n_in, n_out in itertools.pairwise(widths)
  )


def predict(
  laws: Sequence[WeightLaw],
  x: np.ndarray,
  activation: base.Activation,
  loss: losses.Loss,
  *,
  bias: float = 0.0,
) -> dict[str, np.ndarray]:
  """The expected values of the probes of the same names.

  Args:
    laws: `L` layers.
    x: `[B, n_0]` inputs.
    activation: f.
    loss: the loss C.
    bias: the constant added to every bias.

  Returns:
    Probe name -> `[L]`, or `[]` for 'mean_loss'. Empty where `missing` says
    why.
  """
  if missing(laws):
    return {}
  variances, moments = _upward(laws, x, activation, bias)
  gradients = _downward(laws, variances[-1], moments, loss, bias)
  # With random weights the mean gradient below the logits is zero.
  means = np.zeros(len(laws))
  means[-1] = loss.gradient_mean(bias, laws[-1].n_out)
  inputs = [_Moments.of_data(x), *moments[:-1]]
  jacobian = _jacobian(laws, variances, activation, bias)
  saturated = [
    np.mean(activations.saturated_share(activation, q, bias))
    for q in variances[:-1]
  ]
  return {
    'activation_mean': np.array([np.mean(m.first) for m in moments]),
    'activation_std': np.array(
      [np.sqrt(np.mean(m.second) - np.mean(m.first) ** 2) for m in moments]
    ),
    'gradient_std': np.array(
      [
        np.sqrt(np.mean(g) - mean**2)
        for g, mean in zip(gradients, means, strict=True)
      ]
    ),
    'weight_gradient_std': np.array(
      [
        np.sqrt(np.mean(z.second * g) - (np.mean(z.first) * mean) ** 2)
        for z, g, mean in zip(inputs, gradients, means, strict=True)
      ]
    ),
    'mean_singular_value': jacobian,
    'saturated': np.array([*saturated, 0.0]),
    'mean_loss': np.array(
      np.mean(loss.expected(variances[-1], bias, laws[-1].n_out))
    ),
  }


def missing(laws: Sequence[WeightLaw]) -> str:
  """Why there is no theory of these layers; empty if there is one."""
  families = {law.weights.family for law in laws}
  for law in laws:
    if law.weights.family == 'unknown' and law.weights.evidence:
      return (
        f'the estimated law of the {law.n_in} x {law.n_out} weights fails a '
        f'test, {law.weights.evidence.failed}'
      )
  if 'fixed' in families:
    return 'the weights are fixed, so there is no randomness to average over'
  if 'near_identity' in families:
    return 'the weights are the identity plus noise, so their mean is not zero'
  if 'mirrored' in families:
    return 'the units are mirror images in pairs, so they are not independent'
  if 'sparse' in families:
    return (
      'a unit has too few inputs for Gaussian pre-activations, at any width'
    )
  return ''


# Pairs of examples, and finite widths.


class Pairs(NamedTuple):
  """The Gram matrices of a batch in every layer of an infinitely wide network.

  pre: of s_l - b, `L`.
  slope: of f'(s_l) in the hidden layers, `L - 1`.
  post: of z_l, `L`.
  gradient: of dC/ds_l, `L`.
  share: the batch's variance within units over that of these examples.
  """

  pre: list[grams.Gram]
  slope: list[grams.Gram]
  post: list[grams.Gram]
  gradient: list[grams.Gram]
  share: float


def pairs(
  laws: Sequence[WeightLaw],
  batch: base.Batch,
  activation: base.Activation,
  loss: losses.Loss,
  *,
  bias: float = 0.0,
) -> Pairs:
  """Propagates the Gram matrix of a batch forward, of its gradients backward.

  Forward, with the dual of f (see `grams.dual`),

      C_l(x, y) = n_{l-1} Var[w_l] E z_{l-1}(x) z_{l-1}(y) + Var[b_l],

  and backward, with that of f' and independent weights,

      E g_l(x) g_l(y) = n_{l+1} Var[w_{l+1}] E g_{l+1}(x) g_{l+1}(y)
                        E f'(s_l(x)) f'(s_l(y)),    g_l = dC/ds_l.

  A batch of more than 512 or 5,000 / sqrt(L) examples is thinned to that many,
  evenly spaced.

  Args:
    laws: `L` layers for which `missing` is empty.
    batch: `B` examples.
    activation, loss, bias: as for `predict`.

  References:
    Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, Deep information propagation,
    2017, eq. 5 and 15.
  """
  size = len(batch.x)
  step = -(-size // min(512, int(5000 / len(laws) ** 0.5)))
  x, label = (np.asarray(each)[::step] for each in batch)
  post, pres, slopes, posts = grams.of_data(x), [], [], []
  for index, law in enumerate(laws, 1):
    pre = post.scaled(law.n_in * law.weights.variance)
    pre = pre.shifted(law.bias_variance)
    if index < len(laws):
      post, slope = grams.dual(activation, pre, bias)
      slopes.append(slope)
    else:
      post = pre.shifted(bias**2)
    pres.append(pre)
    posts.append(post)
  pre, classes = pres[-1], laws[-1].n_out
  gradient = grams.Gram(
    loss.gradient_square(pre.square, bias, classes),
    loss.gradient_distance(pre.products(), label, classes),
  )
  gradients = [gradient]
  for law, slope in zip(laws[:0:-1], slopes[::-1], strict=True):
    gradient = gradient.scaled(law.n_out * law.weights.variance).times(slope)
    gradients.append(gradient)
  share = (1 - 1 / size) / (1 - 1 / len(x)) if len(x) > 1 else 1.0
  return Pairs(pres, slopes, posts, gradients[::-1], share)


def predict_examples(carried: Pairs, bias: float) -> dict[str, np.ndarray]:
  """The expected values of the probes that compare examples.

  Args:
    carried: from `pairs`.
    bias: the constant added to every bias.

  Returns:
    Probe name -> `[L]`.
  """
  within = lambda layers: np.array(
    [np.sqrt(carried.share * each.within()) for each in layers]
  )
  return {
    'activation_within_std': within(carried.post),
    'gradient_within_std': within(carried.gradient),
    'example_cosine': np.array(
      [each.shifted(bias**2).cosine() for each in carried.pre]
    ),
  }


def finite_width(
  laws: Sequence[WeightLaw],
  carried: Pairs,
  activation: base.Activation,
  bias: float,
) -> np.ndarray | None:
  """Relative variance over networks of the mean of z_l^2, to order 1/n.

  Let M be the mean of z_l^2 over units and examples. With independent weights,
  a positively homogeneous f and no biases, E M is that of infinite width. Then
  f(s)^2 = A s^2 + B s |s|, and since units are independent given the layer
  below, each layer adds to the relative variance of M that of its own average,

      (1/n_l) sum_xy Cov(f(s_x)^2, f(s_y)^2) / (sum_x E f(s_x)^2)^2,

  which is 5 / n_l for the ReLU and one example, or many that have become alike.
  The logarithm of a product of such factors is normal with the sum v as its
  variance: M has the geometric mean E M exp(-v / 2), and the standard deviation
  of z_l that of infinite width times exp(-v / 4); its logarithm has the
  standard deviation sqrt(v) / 2.

  This does not apply to gradients: the loss couples them to the signal, so
  their mean square itself changes by the order of L K / n.

  Args:
    laws, activation, bias: as for `predict`.
    carried: from `pairs`.

  Returns:
    v, `[L]`; None if it is unknown.

  References:
    Hanin & Nica, 2019, theorem 1: v = 5 sum_l 1 / n_l for the ReLU.
  """
  slopes = activations.homogeneous_slopes(activation)
  independent = all(law.weights.family in _INDEPENDENT for law in laws)
  unbiased = bias == 0 and not any(law.bias_variance for law in laws)
  if slopes is None or not (independent and unbiased):
    return None
  above, below = slopes[0] ** 2, slopes[1] ** 2
  hidden = ((above + below) / 2, (above - below) / 2)
  noise, kinds = [], [hidden] * (len(laws) - 1) + [(1.0, 0.0)]
  for law, pre, (even, odd) in zip(laws, carried.pre, kinds, strict=True):
    theta = grams.angles(pre)
    cosine, sine = np.cos(theta), np.sin(theta)
    signed = (1 + 2 * cosine**2) * (np.pi / 2 - theta) + 3 * cosine * sine
    covariance = 2 * even**2 * cosine**2 + odd**2 * 2 / np.pi * signed
    q = pre.square / pre.square.mean()
    noise.append(np.mean(q[:, None] * q * covariance) / even**2 / law.n_out)
  return np.cumsum(noise)


def width_error(
  laws: Sequence[WeightLaw],
  x: np.ndarray,
  activation: base.Activation,
  *,
  bias: float = 0.0,
) -> np.ndarray:
  """The order of the relative error of infinite-width q_l, `[L]`.

  For one example with the batch's mean square: the relative variance over
  networks of its mean E z_l^2, u_l = chi_l^2 u_{l-1} + Var f(s)^2 / (n_l
  (E f(s)^2)^2), where chi = d log E f(s)^2 / d log q propagates that of the
  layer below. The error of the mean is of the same order.
  """
  below, found, error = np.mean(np.asarray(x, float) ** 2), [], 0.0
  square = activations.squared(activation)
  for law in laws[:-1]:
    q = law.n_in * law.weights.variance * below + law.bias_variance
    near = q * np.array([1.0, 1.001])
    second, further = activations.moments(activation, near, bias)[1]
    fourth = activations.moments(square, near[:1], bias)[1][0]
    handed_on = np.log(further / second) / np.log(1.001)
    error = handed_on**2 * error + (fourth / second**2 - 1) / law.n_out
    found.append(error)
    below = second
  return np.array([*found, error + 2 / laws[-1].n_out])


class _Moments(NamedTuple):
  """E z, E z^2 and E f'(s)^2 of one layer, `[B]` each."""

  first: np.ndarray
  second: np.ndarray
  slope: np.ndarray

  @classmethod
  def of_data(cls, x: np.ndarray) -> '_Moments':
    """The moments of `[B, n_0]` inputs, over the units of each example."""
    x = np.asarray(x, float)
    return cls(x.mean(axis=1), (x**2).mean(axis=1), np.ones(len(x)))


def _upward(
  laws: Sequence[WeightLaw],
  x: np.ndarray,
  activation: base.Activation,
  bias: float,
) -> tuple[list[np.ndarray], list[_Moments]]:
  """The variances q_l `[B]` and the moments of every layer, forward."""
  below, variances, moments = _Moments.of_data(x), [], []
  for index, law in enumerate(laws, 1):
    q = law.n_in * law.weights.variance * below.second + law.bias_variance
    f = activations.identity if index == len(laws) else activation
    below = _Moments(*activations.moments(f, q, bias))
    variances.append(q)
    moments.append(below)
  return variances, moments


def _downward(
  laws: Sequence[WeightLaw],
  top_variance: np.ndarray,
  moments: Sequence[_Moments],
  loss: losses.Loss,
  bias: float,
) -> list[np.ndarray]:
  """E (dC/ds_l)^2 `[B]` of every layer, first layer first."""
  square = loss.gradient_square(top_variance, bias, laws[-1].n_out)
  squares = [square]
  for law, below in zip(laws[:0:-1], moments[-2::-1], strict=True):
    square = law.n_out * law.weights.variance * square * below.slope
    squares.append(square)
  return squares[::-1]


def _jacobian(
  laws: Sequence[WeightLaw],
  variances: Sequence[np.ndarray],
  activation: base.Activation,
  bias: float,
) -> np.ndarray:
  """The mean singular value of every layer's Jacobian, `[L]`.

  It is a smooth function of q for all layers of one law. If these have more
  than `_TABULATED` values of q, it is interpolated in log q by a cubic spline
  with an error of about 1e-6.
  """
  found = np.zeros(len(laws))
  last = len(laws) - 1
  kinds = [(law, index == last) for index, law in enumerate(laws)]
  for law, linear in dict.fromkeys(kinds):
    alike = [i for i, kind in enumerate(kinds) if kind == (law, linear)]
    rows = probes.jacobian_examples(len(variances[0]))
    q = np.stack([variances[i][rows] for i in alike])
    f = activations.identity if linear else activation
    at = lambda q, law=law, f=f: _mean_singular_value(law, q, f, bias)
    found[alike] = _smooth(at, q).mean(axis=1)
  return found


def _smooth(
  function: Callable[[np.ndarray], np.ndarray], q: np.ndarray
) -> np.ndarray:
  """An elementwise function of positive q, interpolated for many values."""
  from scipy import interpolate

  if q.size <= _TABULATED or not 0 < q.min() < q.max() < np.inf:
    return function(q.ravel()).reshape(q.shape)
  log_q = np.linspace(np.log(q.min()), np.log(q.max()), _TABULATED)
  return interpolate.CubicSpline(log_q, function(np.exp(log_q)))(np.log(q))


def _mean_singular_value(
  law: WeightLaw, q: np.ndarray, activation: base.Activation, bias: float
) -> np.ndarray:
  """E of the mean singular value of diag(f'(s)) w^T, for each q of `[E]`.

  With eigenvalues x of the smaller Gram matrix of J,
  E sqrt(x) = (2/pi) int_0^inf E[x / (x + u^2)] du.
  """
  share = _SPECTRA.get(law.weights.family)
  if share is None:
    return np.full(q.shape, np.nan)
  nodes, weights = activations.gaussian_nodes(q, bias)
  squares = activations.evaluate(activation, nodes)[1] ** 2
  scale = max(law.n_in, law.n_out) * law.weights.variance
  scale = np.sqrt(scale * np.sum(weights * squares, axis=-1))
  angle = (_GAUSS_NODES + 1) * np.pi / 4
  step = _GAUSS_WEIGHTS * np.pi / 4 / np.cos(angle) ** 2

  def one(scale, weight, square):
    if not 0 < scale < np.inf:
      return scale
    t = (scale * np.tan(angle)) ** 2
    return 2 / np.pi * scale * share(law, t, weight[None], square[None]) @ step

  return np.array(
    [one(*each) for each in zip(scale, weights, squares, strict=True)]
  )


def _share_independent(
  law: WeightLaw, t: np.ndarray, weights: np.ndarray, squares: np.ndarray
) -> np.ndarray:
  """E[x / (x + t)] for independent entries: the Marchenko-Pastur law.

  With c = n_out / n_in and tau = n_in Var[w] f'(s)^2, the transform m(t) of the
  n_in-sided Gram matrix solves m (t + c E[tau / (1 + tau m)]) = 1.

  References:
    Silverstein & Bai, On the empirical distribution of eigenvalues of a class
    of large dimensional random matrices, 1995, eq. 1.2.
  """
  tau = law.n_in * law.weights.variance * squares
  ratio = law.n_out / law.n_in

  def excess(log_m: np.ndarray) -> np.ndarray:
    m = np.exp(log_m)
    damped = np.sum(weights * tau / (1 + tau * m[:, None]), axis=-1)
    return m * (t + ratio * damped) - 1

  spread = np.sum(weights * tau) * ratio
  m = np.exp(roots.bisect(excess, -np.log(t + spread), -np.log(t)))
  return (1 - t * m) * law.n_in / min(law.n_in, law.n_out)


def _share_orthogonal(
  law: WeightLaw, t: np.ndarray, weights: np.ndarray, squares: np.ndarray
) -> np.ndarray:
  """E[x / (x + t)] for orthogonal weights: the slopes, freely compressed.

  With n_out <= n_in the squared singular values are g^2 f'(s)^2 themselves.
  With n_out > n_in they are the compression of that law to the share
  n_in / n_out of its space.

  References:
    Nica & Speicher, On the multiplication of free n-tuples of noncommutative
    random variables, 1996, section 1.
  """
  tau = max(law.n_in, law.n_out) * law.weights.variance * squares
  share = min(1.0, law.n_in / law.n_out)
  mean = np.sum(weights * tau)
  transform = lambda y: np.sum(weights / (y[:, None] + tau), axis=-1)

  def excess(y: np.ndarray) -> np.ndarray:
    return y - t - (1 - share) / transform(y)

  y = roots.bisect(excess, t, (t + (1 - share) * mean) / share)
  return 1 - t * transform(y) / share


_INDEPENDENT = ('uniform', 'normal', 'truncated_normal', 'independent')

_SPECTRA = {
  **dict.fromkeys(_INDEPENDENT, _share_independent),
  'orthogonal': _share_orthogonal,
}

# Family of a square matrix of variance 1 / n -> the geometric mean of its
# singular values.
_VOLUMES = {
  **dict.fromkeys(_INDEPENDENT, GEOMETRIC_MEAN),
  'orthogonal': 1.0,
}


def predict_singular_values(
  laws: Sequence[WeightLaw],
  x: np.ndarray,
  activation: base.Activation,
  *,
  bias: float = 0.0,
) -> dict[str, np.ndarray]:
  """The infinite-width limits of `probes.rms` and `probes.geometric_mean`.

  With the mean-field variance q of s for each example, the mean square is
  max(n_in, n_out) Var[w] E f'(s)^2, and the geometric mean of a square layer of
  independent entries sqrt(n Var[w] / e) exp(E log |f'(s)|).

  Args:
    laws: `L` layers.
    x: `[B, n_0]` inputs.
    activation: f.
    bias: the constant in every bias.

  Returns:
    'rms' and 'geometric_mean', `[L]` each, NaN where there is no theory.
  """
  x = np.asarray(x, float)[probes.jacobian_examples(len(x))]
  second, found = np.mean(x**2, axis=1), []
  for index, law in enumerate(laws, 1):
    f = activations.identity if index == len(laws) else activation
    q = law.n_in * law.weights.variance * second + law.bias_variance
    nodes, weights = activations.gaussian_nodes(q, bias)
    values, slopes = activations.evaluate(f, nodes)
    average = lambda each, weights=weights: np.sum(weights * each, axis=-1)
    second = average(values**2)
    gain = np.sqrt(max(law.n_in, law.n_out) * law.weights.variance)
    volume = _VOLUMES.get(law.weights.family, np.nan)
    volume = volume if law.n_in == law.n_out else np.nan
    with np.errstate(divide='ignore'):
      slope = np.exp(average(np.log(np.abs(slopes))))
    means = np.sqrt(average(slopes**2)), volume * slope
    found.append([gain * np.mean(each) for each in means])
  return dict(zip(('rms', 'geometric_mean'), np.array(found).T, strict=True))
