"""Initializers: factories of functions that draw the weights of one layer.

Every public factory takes its knobs and returns JAX's own

    initializer(key, shape, dtype=jnp.float32) -> Array

which Flax and Equinox accept as it is, and Haiku through
`lambda shape, dtype: initializer(hk.next_rng_key(), shape, dtype)`. Keys may be
typed or raw; a key is consumed, and deterministic initializers ignore theirs.

Common to all of them:

* Draws are made in float32 (float64 if requested and enabled) and cast last: a
  bfloat16 array is the float32 array of the same key, rounded.
* The result is bitwise identical eager, compiled and under `vmap`.
* `gain` multiplies the weights, so the variance scales with its square. It may
  be a traced scalar, so that settings can share one compiled program; the bits
  are the same traced or not.
* Empty arrays are allowed. Invalid shapes, dtypes and knobs raise
  `base.UserError`.

Kernels are stored `[n_in, n_out]` and applied as `x @ w`. For other layouts,
`kernels.Axes` defines fan-in and fan-out. The table `SCHEMES` gives each
initializer a name and its declared law.
"""

from collections.abc import Callable
import functools
import inspect
import math
import numbers
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, finite_width, functions, kernels, keys, meanfield


def constant(value: float = 0.01) -> base.Initializer:
  """Every entry is `value`, so that all units of a layer stay equal forever."""
  value = kernels.number(value, 'value', minimum=-math.inf)
  return kernels.initializer(
    lambda key, shape, dtype: jnp.full(shape, value, dtype)
  )


def zeros() -> base.Initializer:
  """Every entry is 0: the usual bias, and a saddle point as a weight."""
  return constant(0.0)


def ones() -> base.Initializer:
  """Every entry is 1."""
  return constant(1.0)


def uniform(scale: float = 0.01) -> base.Initializer:
  """w ~ U[-scale, scale): symmetric, with Var[w] = scale^2 / 3."""
  scale = kernels.number(scale, 'scale')
  return kernels.random('uniform', lambda shape: 3**-0.5, scale)


def normal(std: float = 0.01) -> base.Initializer:
  """w ~ N(0, std^2)."""
  std = kernels.number(std, 'std')
  return kernels.random('normal', lambda shape: 1.0, std)


def truncated_normal(std: float = 0.01) -> base.Initializer:
  """A normal cut at two of its standard deviations, with Var[w] = std^2.

  The parent normal is widened to std / 0.8796, so that `std` is the standard
  deviation of what is returned, and |w| <= 2.274 std. `jax.nn.initializers`
  and Haiku leave the variance at 0.774 std^2.
  """
  std = kernels.number(std, 'std')
  return kernels.random('truncated_normal', lambda shape: 1.0, std)


def ng_epsilon(
  epsilon: kernels.Scalar | None = None, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Ng's symmetry breaking, Theta = rand * 2 epsilon - epsilon.

  w ~ U[-epsilon, epsilon), Var[w] = epsilon^2 / 3. Without an epsilon it is
  sqrt(6) / sqrt(n_in + n_out), which is Glorot's uniform; with one the axes do
  not matter, but must be some of the kernel's.

  Examples:
    >>> n_in, n_out = 400, 25  # the course's digits, where epsilon is 0.12
    >>> round((6 / (n_in + n_out)) ** 0.5, 4)
    0.1188

  References:
    Ng, Machine Learning (Stanford, Coursera), "Random initialization".
  """
  if epsilon is None:
    return glorot_uniform(**axes)
  epsilon = kernels.number(epsilon, 'epsilon')
  if not axes:
    return uniform(epsilon)
  std = lambda n_in, n_out: 3**-0.5
  return kernels.fan_scaled('uniform', std, epsilon, axes)


_MODES: dict[str, Callable[[int, int], float]] = {
  'fan_in': lambda n_in, n_out: n_in,
  'fan_out': lambda n_in, n_out: n_out,
  'fan_avg': lambda n_in, n_out: (n_in + n_out) / 2,
  'fan_geo_avg': lambda n_in, n_out: math.sqrt(n_in * n_out),
}


def variance_scaling(
  gain: float = 1.0,
  mode: str = 'fan_in',
  distribution: str = 'normal',
  **axes: Unpack[kernels.Axes],
) -> base.Initializer:
  """Independent entries of zero mean with Var[w] = gain^2 / fan.

  With fan = n_in a layer keeps the mean square of its input, up to gain^2; with
  fan = n_out, that of the gradient. `jax.nn.initializers.variance_scaling`
  takes gain^2 as its `scale`.

  Args:
    gain: factor on the weights, finite and not negative, or traced.
    mode: 'fan_in', 'fan_out', 'fan_avg' (arithmetic mean of the two) or
      'fan_geo_avg' (geometric mean).
    distribution: 'uniform' on [-a, a) with a = sqrt(3 Var[w]), 'normal', or
      'truncated_normal', cut at two standard deviations of its parent and
      corrected to the same variance.
    **axes: see `kernels.Axes`.

  Returns:
    An initializer for kernels of rank 2 or more.

  Raises:
    UserError: at once for bad knobs, at the draw for bad shapes and axes.

  Examples:
    >>> he = variance_scaling(2**0.5, 'fan_in', 'normal')
    >>> w = he(keys.root(0), (512, 256))
    >>> round(float(512 * jnp.var(w)), 1)
    2.0
  """
  return _scaled(1.0, gain, mode, distribution, axes)


def _scaled(
  constant: float,
  gain: kernels.Scalar,
  mode: str,
  distribution: str,
  axes: kernels.Axes,
) -> base.Initializer:
  """`variance_scaling` by the scheme's own constant times the gain."""
  gain = kernels.number(gain, 'gain')
  fan = base.lookup(_MODES, 'mode', mode)
  std = lambda n_in, n_out: constant * fan(n_in, n_out) ** -0.5
  return kernels.fan_scaled(distribution, std, gain, axes)


def standard(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """The old heuristic, w ~ U[-gain / sqrt(n_in), gain / sqrt(n_in)).

  Var[w] = gain^2 / (3 n_in): in the linear regime every layer keeps a third of
  the variance.

  References:
    Glorot & Bengio, 2010, eq. 1 and 15.
    https://proceedings.mlr.press/v9/glorot10a.html
  """
  return _scaled(3**-0.5, gain, 'fan_in', 'uniform', axes)


def lecun_uniform(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Uniform with Var[w] = gain^2 / n_in.

  References:
    LeCun, Bottou, Orr & Mueller, 1998, Efficient BackProp, section 4.6: "a
    distribution (e.g. uniform)" of standard deviation n_in^(-1/2).
  """
  return variance_scaling(gain, 'fan_in', 'uniform', **axes)


def lecun_normal(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal with Var[w] = gain^2 / n_in; see `lecun_uniform`."""
  return variance_scaling(gain, 'fan_in', 'normal', **axes)


def lecun_truncated_normal(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Truncated normal with Var[w] = gain^2 / n_in; see `lecun_uniform`."""
  return variance_scaling(gain, 'fan_in', 'truncated_normal', **axes)


def glorot_uniform(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """The normalized initialization, w ~ U[-a, a), a = gain sqrt(6/(n_in+n_out)).

  Var[w] = 2 gain^2 / (n_in + n_out), a compromise between keeping the variance
  of the signal (eq. 10) and that of the gradient (eq. 11).

  References:
    Glorot & Bengio, 2010, eq. 12 and 16.
    https://proceedings.mlr.press/v9/glorot10a.html
  """
  return variance_scaling(gain, 'fan_avg', 'uniform', **axes)


def glorot_normal(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal with Var[w] = 2 gain^2 / (n_in + n_out); see `glorot_uniform`."""
  return variance_scaling(gain, 'fan_avg', 'normal', **axes)


def glorot_truncated_normal(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Truncated, Var[w] = 2 gain^2 / (n_in + n_out); see `glorot_uniform`.

  It is what JAX, Flax and Keras call `glorot_normal`.
  """
  return variance_scaling(gain, 'fan_avg', 'truncated_normal', **axes)


def he_uniform(
  gain: float = 2**0.5, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Uniform with Var[w] = gain^2 / n_in; see `he_normal`."""
  return variance_scaling(gain, 'fan_in', 'uniform', **axes)


def he_normal(
  gain: float = 2**0.5, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal with Var[w] = gain^2 / n_in; the default gain is for ReLU.

  A ReLU halves the mean square of its input, so n_in Var[w] / 2 = 1.

  References:
    He, Zhang, Ren & Sun, 2015, eq. 10. https://arxiv.org/abs/1502.01852
  """
  return variance_scaling(gain, 'fan_in', 'normal', **axes)


def he_truncated_normal(
  gain: float = 2**0.5, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Truncated normal with Var[w] = gain^2 / n_in; see `he_normal`.

  It is what JAX, Flax and Keras call `he_normal`.
  """
  return variance_scaling(gain, 'fan_in', 'truncated_normal', **axes)


def prelu_uniform(
  slope: float = 0.25, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Uniform with Var[w] = 2 / ((1 + slope^2) n_in); see `prelu_normal`."""
  return _scaled(_prelu_gain(slope), 1.0, 'fan_in', 'uniform', axes)


def prelu_normal(
  slope: float = 0.25, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal with Var[w] = 2 / ((1 + slope^2) n_in), for PReLU and leaky ReLU.

  `slope` is that of the negative half: 0 gives He's, 1 gives LeCun's.

  References:
    He, Zhang, Ren & Sun, 2015, eq. 15. https://arxiv.org/abs/1502.01852
  """
  return _scaled(_prelu_gain(slope), 1.0, 'fan_in', 'normal', axes)


def prelu_truncated_normal(
  slope: float = 0.25, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Truncated, Var[w] = 2 / ((1 + slope^2) n_in); see `prelu_normal`."""
  return _scaled(_prelu_gain(slope), 1.0, 'fan_in', 'truncated_normal', axes)


def _prelu_gain(slope: float) -> float:
  if isinstance(slope, jax.core.Tracer):
    raise base.UserError('slope must be a number, not a traced value')
  slope = kernels.number(slope, 'slope', minimum=-math.inf)
  return (2 / (1 + slope**2)) ** 0.5


def selu(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """Normal with Var[w] = 1 / n_in, and no gain.

  Only this variance makes mean 0 and variance 1 a fixed point of SELU layers.

  References:
    Klambauer, Unterthiner, Mayr & Hochreiter, 2017, Self-Normalizing Neural
    Networks, section 3. https://arxiv.org/abs/1706.02515
  """
  return variance_scaling(1.0, 'fan_in', 'normal', **axes)


def random_walk(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal of std gain g / sqrt(n_in), g for deep ReLU networks.

  The logarithm of the gradient's norm walks at random with depth; this g takes
  its drift away, g = sqrt(2) exp(1.2 / (max(n_in, 6) - 2.4)). He's g = sqrt(2)
  keeps the mean of the squared norm, and lets the typical norm shrink.

  References:
    Sussillo & Abbott, 2014, Random Walk Initialization for Training Very Deep
    Feedforward Networks. https://arxiv.org/abs/1412.6558
  """
  gain = kernels.number(gain, 'gain')
  return kernels.fan_scaled(
    'normal',
    lambda n_in, n_out: (
      math.sqrt(2 / n_in) * math.exp(1.2 / (max(n_in, 6) - 2.4))
    ),
    gain,
    axes,
  )


def random_walk_linear(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal of std gain g / sqrt(n_in), g = exp(1 / (2 n_in)).

  For linear networks; with a gain of 1.1 to 1.3, for tanh. See `random_walk`.
  """
  gain = kernels.number(gain, 'gain')
  return kernels.fan_scaled(
    'normal',
    lambda n_in, n_out: n_in**-0.5 * math.exp(0.5 / n_in),
    gain,
    axes,
  )


def random_walk_exact(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Normal of std gain g / sqrt(n_in), g exactly drift-free for ReLU networks.

  `random_walk` uses a fit of it, with a drift of log |h|^2 of -0.08 / n_in per
  layer. See `finite_width.unbiased_gain`.
  """
  gain = kernels.number(gain, 'gain')
  return kernels.fan_scaled(
    'normal',
    lambda n_in, n_out: n_in**-0.5 * finite_width.unbiased_gain(n_in),
    gain,
    axes,
  )


def critical(
  activation: functions.Named = 'tanh',
  q: float = 0.05,
  **axes: Unpack[kernels.Axes],
) -> base.Initializer:
  """Normal weights at the critical point whose variance has the fixed point q.

  Var[w] = sw2 / n_in, and normal biases of variance sb2, see `critical_bias`:
  gradients keep their size (chi_1 = 1) and so does a signal of variance q. A
  small q makes a tanh network nearly linear; Xiao et al. take 1 / L.

  Args:
    activation: of the network, or its name.
    q: variance of the pre-activations, positive.
    **axes: see `kernels.Axes`.

  Returns:
    An initializer for kernels of rank 2 or more.

  Raises:
    UserError: no biases make q a critical fixed point of the activation; or
      bad knobs.

  References:
    Pennington, Schoenholz & Ganguli, 2017: sw2 and sb2 as functions of q.
    https://arxiv.org/abs/1711.04735
    Xiao et al., 2018. https://arxiv.org/abs/1806.05393
  """
  point = _critical_point(activation, q)
  return _scaled(point.gain, 1.0, 'fan_in', 'normal', axes)


def critical_orthogonal(
  activation: functions.Named = 'tanh',
  q: float = 0.05,
  **axes: Unpack[kernels.Axes],
) -> base.Initializer:
  """`critical` with orthogonal weights, E[w^2] = sw2 / n_in.

  With tanh and q -> 0 it alone keeps all singular values of the Jacobian of a
  deep network near 1 (Pennington et al., 2017), see `spectra`.
  """
  return orthogonal_rescaled(_critical_point(activation, q).gain, **axes)


def critical_bias(
  activation: functions.Named = 'tanh', q: float = 0.05
) -> base.Initializer:
  """b ~ N(0, sb2), of `critical`.

  It takes the shape of the kernel, (n_in, n_out), and returns `[n_out]`.
  """
  std = _critical_point(activation, q).bias_variance ** 0.5

  def bias(
    key: base.Key, shape: base.Shape, dtype: Any = jnp.float32
  ) -> base.Array:
    _, n_out = kernels.exactly(2, shape)
    return normal(std)(key, (n_out,), dtype)

  return bias


def _critical_point(
  activation: functions.Named, q: float
) -> meanfield.Critical:
  if not (isinstance(activation, str) or callable(activation)):
    raise base.UserError(
      f'activation must be a name or a function, not {activation!r}'
    )
  return meanfield.critical_point(activation, kernels.number(q, 'q'))


def orthogonal(
  gain: float = 1.0, rescale: bool = False, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Uniform (Haar) among the matrices with orthonormal rows or columns.

  The kernel is a matrix of n_in rows (receptive field and in axes) and n_out
  columns, the shorter of which are orthogonal and of length `gain`:
  w.T @ w = gain^2 I if n_in >= n_out, else w @ w.T = gain^2 I. So E[w^2] =
  gain^2 / max(n_in, n_out), and a widening layer, though it keeps the length of
  x, lets the mean square of a unit shrink by n_in / n_out.

  It is the Q of a normal matrix, with the diagonal of R made positive: LAPACK's
  own choice of signs is not uniform (Mezzadri, 2007).

  Args:
    gain: length of the orthogonal rows or columns.
    rescale: multiply a widening kernel by sqrt(n_out / n_in), which makes
      E|x @ w|^2 / n_out = gain^2 |x|^2 / n_in for every shape: E[w^2] is then
      gain^2 / n_in, since E|x @ w|^2 = |x|^2 n_out E[w^2].
    **axes: see `kernels.Axes`.

  Returns:
    An initializer for kernels of rank 2 or more.

  Raises:
    UserError: at once for bad knobs, at the draw for bad shapes and axes.

  Examples:
    >>> w = orthogonal()(keys.root(0), (3, 2))
    >>> bool(jnp.allclose(w.T @ w, jnp.eye(2), atol=1e-6))
    True

  References:
    Saxe, McClelland & Ganguli, 2014, section 3. https://arxiv.org/abs/1312.6120
    Mezzadri, 2007, How to generate random matrices from the classical compact
    groups, section 5. https://arxiv.org/abs/math-ph/0609050
  """
  gain = kernels.number(gain, 'gain')

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    *batch, n_in, n_out = shape
    long, short = max(n_in, n_out), min(n_in, n_out)
    q, r = jnp.linalg.qr(jax.random.normal(key, (*batch, long, short), dtype))
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    q = q * jnp.where(diagonal < 0, -1, 1).astype(dtype)[..., None, :]
    w = q if n_in >= n_out else q.mT
    return kernels.times(w, math.sqrt(long / n_in) if rescale else 1.0, gain)

  return kernels.matrix(draw, axes)


def orthogonal_rescaled(
  gain: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """`orthogonal` with E[w^2] = gain^2 / n_in, whatever the shape."""
  return orthogonal(gain, rescale=True, **axes)


def delta_orthogonal(gain: float = 1.0) -> base.Initializer:
  """A convolution that is orthogonal at its central tap and zero elsewhere.

  Shapes are `[*spatial, n_in, n_out]` with n_in <= n_out and one or more
  spatial axes. The central tap of k is the one at (k - 1) // 2, which padding
  'SAME' lays on the pixel itself.

  Args:
    gain: factor on the kernel, which keeps the norm of an image up to it.

  Returns:
    An initializer.

  Raises:
    UserError: at the draw, if no spatial axis is there or n_in > n_out.

  References:
    Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington, 2018, algorithm 1.
    https://arxiv.org/abs/1806.05393
  """
  tap = orthogonal(gain)

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    *spatial, n_in, n_out = kernels.at_least(3, shape)
    if n_in > n_out:
      raise base.UserError(
        f'a delta-orthogonal kernel cannot narrow, {n_in} to {n_out} channels'
      )
    centre = tuple((size - 1) // 2 for size in spatial)
    w = tap(key, (n_in, n_out), dtype)
    return jnp.zeros(shape, dtype).at[centre].set(w)

  return kernels.initializer(draw)


def identity(gain: float = 1.0) -> base.Initializer:
  """gain on the main diagonal of a `[n_in, n_out]` matrix, 0 elsewhere."""
  gain = kernels.number(gain, 'gain')

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    del key
    w = jnp.eye(*kernels.exactly(2, shape), dtype=dtype)
    return kernels.times(w, 1.0, gain)

  return kernels.initializer(draw)


def near_identity(alpha: float = 0.085) -> base.Initializer:
  """The identity plus noise, for tanh networks of any depth.

  w = D + Z for a `[n_in, n_out]` matrix, with Z ~ N(0, alpha^2 / n_in), and
  D_ij = 1 where i is j modulo n_in: each unit copies one input. Unit j computes
  tanh(a x) with a close to 1, above it in some layers and below in others, and
  its signal neither saturates nor vanishes.

  The paper uses n_in in the noise; the authors' notebooks divide by
  sqrt(n_out), which is the same for square layers.

  Args:
    alpha: size of the noise.

  References:
    Lee, Choi & Kim, Robust weight initialization for tanh neural networks with
    fixed point analysis, 2025, section 3.2. https://arxiv.org/abs/2410.02242
  """
  alpha = kernels.number(alpha, 'alpha')

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    n_in, n_out = kernels.exactly(2, shape)
    rows = jnp.arange(n_in)[:, None] == jnp.arange(n_out)[None, :] % n_in
    noise = jax.random.normal(key, shape, dtype)
    return rows.astype(dtype) + kernels.times(noise, n_in**-0.5, alpha)

  return kernels.initializer(draw)


_SIDES = {'both': (True, True), 'in': (True, False), 'out': (False, True)}


def looks_linear(
  gain: float = 1.0, sides: str = 'both', **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Mirrored blocks that make a ReLU network linear at the start.

      w = [[V, -V], [-V, V]],      V orthogonal,

  so the pre-activation of unit j + n_out / 2 is minus that of unit j, and
  relu(s) - relu(-s) = s is passed on: if no layer narrows, the length of s is
  preserved at every depth and for every input. With an odd number of units, the
  last of the first half has no mirror image.

  The first layer of a network, which receives data, should be mirrored only in
  its outputs, and the last layer only in its inputs. An initializer does not
  know which layer it draws; with 'both', the first layer depends only on the
  differences of the two halves of its inputs.

  Args:
    gain: length of the orthogonal rows or columns of V.
    sides: 'both', 'out' (w = [V, -V]) or 'in' (w = [[V], [-V]]).
    **axes: see `kernels.Axes`.

  Returns:
    An initializer for kernels of rank 2 or more.

  Raises:
    UserError: at once for bad knobs, at the draw for bad shapes and axes.

  References:
    Balduzzi et al., The shattered gradients problem, 2017.
    https://arxiv.org/abs/1702.08591
    Burkholz & Dubatovka, Initialization of ReLUs for dynamical isometry, 2019.
    https://arxiv.org/abs/1806.06362
  """
  gain = kernels.number(gain, 'gain')
  rows, columns = base.lookup(_SIDES, 'sides', sides)

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    *batch, n_in, n_out = shape
    block = orthogonal(
      gain, in_axis=-2, out_axis=-1, batch_axis=tuple(range(len(batch)))
    )
    half_in = -(-n_in // 2) if rows else n_in
    half_out = -(-n_out // 2) if columns else n_out
    w = block(key, (*batch, half_in, half_out), dtype)
    if columns:
      w = jnp.concatenate([w, -w], axis=-1)[..., :n_out]
    if rows:
      w = jnp.concatenate([w, -w], axis=-2)[..., :n_in, :]
    return w

  return kernels.matrix(draw, axes)


def zero() -> base.Initializer:
  """ZerO: deterministic; not the same as `zeros`.

  A `[n_in, n_out]` kernel is the (partial) identity if n_in >= n_out. If it
  widens, it is the corner of the Hadamard matrix of the next power of two,
  w_ij = 2^(-m/2) (-1)^(number of common binary digits of i and j) with
  m = ceil(log2 n_out). The rank can then grow in training, which a partial
  identity prevents. The factor is from the authors' program; it makes the
  Hadamard matrix orthogonal.

  Examples:
    >>> zero()(keys.root(0), (2, 4))
    Array([[ 0.5,  0.5,  0.5,  0.5],
           [ 0.5, -0.5,  0.5, -0.5]], dtype=float32)

  References:
    Zhao, Schaefer & Anandkumar, 2022, algorithm 1.
    https://arxiv.org/abs/2110.12661
  """

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    n_in, n_out = kernels.exactly(2, shape)
    if n_in >= n_out:
      return identity()(key, shape, dtype)
    common = jnp.arange(n_in)[:, None] & jnp.arange(n_out)[None, :]
    signs = 1 - 2 * (jax.lax.population_count(common) % 2)
    digits = (n_out - 1).bit_length()
    return kernels.times(signs.astype(dtype), 2 ** (-digits / 2))

  return kernels.initializer(draw)


def sparse(
  nonzeros: int = 15, std: float = 1.0, **axes: Unpack[kernels.Axes]
) -> base.Initializer:
  """Every unit has exactly `nonzeros` incoming weights, ~ N(0, std^2).

  E[w^2] = std^2 nonzeros / n_in, so the variance of a pre-activation is
  nonzeros std^2 E[x^2] whatever the width. Layers with fewer inputs than that
  are dense.

  Args:
    nonzeros: the number of nonzero weights per unit.
    std: their standard deviation.
    **axes: see `kernels.Axes`.

  Returns:
    An initializer for kernels of rank 2 or more.

  Raises:
    UserError: at once for bad knobs, at the draw for bad shapes and axes.

  References:
    Martens, 2010, Deep learning via Hessian-free optimization, section 5.
  """
  std = kernels.number(std, 'std')
  if not isinstance(nonzeros, numbers.Integral) or nonzeros < 0:
    raise base.UserError(f'nonzeros must be a whole number, not {nonzeros!r}')

  def draw(key: base.Key, shape: base.Shape, dtype: Any) -> base.Array:
    kept = jnp.broadcast_to((jnp.arange(shape[-2]) < nonzeros)[:, None], shape)
    kept = jax.random.permutation(
      keys.stream(key, 'positions'), kept, axis=-2, independent=True
    )
    values = jax.random.normal(keys.stream(key, 'values'), shape, dtype)
    return jnp.where(kept, kernels.times(values, 1.0, std), 0)

  return kernels.matrix(draw, axes)


def torch(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """`torch.nn.Linear`: w, b ~ U[-1 / sqrt(n_in), 1 / sqrt(n_in)).

  Its `kaiming_uniform_(a=sqrt(5))` is the `standard` heuristic, n_in Var[w] =
  1/3. The biases are drawn too, see `fan_in_bias`.
  """
  return standard(**axes)


def equinox(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """`equinox.nn.Linear`: the law of `torch`, biases included."""
  return standard(**axes)


def keras(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """`keras.layers.Dense`: Glorot's uniform; zero biases."""
  return glorot_uniform(**axes)


def flax(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """`flax.linen.Dense`: LeCun's truncated normal; zero biases."""
  return lecun_truncated_normal(**axes)


def haiku(**axes: Unpack[kernels.Axes]) -> base.Initializer:
  """`haiku.Linear`: truncated normal, parent of std 1 / sqrt(n_in); b = 0.

  The variance lost by truncation is not restored: n_in Var[w] = 0.774.
  """
  return _scaled(kernels.TRUNCATED_STD, 1.0, 'fan_in', 'truncated_normal', axes)


def fan_in_bias() -> base.Initializer:
  """b ~ U[-1 / sqrt(n_in), 1 / sqrt(n_in)), of PyTorch and of Equinox.

  It takes the shape of the kernel, (n_in, n_out), and returns `[n_out]`.
  """

  def bias(
    key: base.Key, shape: base.Shape, dtype: Any = jnp.float32
  ) -> base.Array:
    n_in, n_out = kernels.exactly(2, shape)
    return uniform(n_in**-0.5 if n_in else 0.0)(key, (n_out,), dtype)

  return bias


def _scheme(
  make: Callable[..., base.Initializer],
  family: str,
  variance: Callable[..., float],
  source: str,
  **bias: Any,
) -> base.Scheme:
  """A row of the table; `variance` takes the fans, then the knobs."""
  _, _, *knobs = inspect.signature(variance).parameters
  law = lambda n_in, n_out, **knobs: base.Law(
    family, variance(n_in, n_out, **knobs)
  )
  return base.Scheme(make, law, tuple(knobs), source, **bias)


# E[w^2] of each, written from its source, independently of the code that draws,
# so that a test of one against the other can fail.
_STANDARD = lambda n_in, n_out, gain=1.0: gain**2 / (3 * n_in)
_LECUN = lambda n_in, n_out, gain=1.0: gain**2 / n_in
_GLOROT = lambda n_in, n_out, gain=1.0: 2 * gain**2 / (n_in + n_out)
_HE = lambda n_in, n_out, gain=2**0.5: gain**2 / n_in
_PRELU = lambda n_in, n_out, slope=0.25: 2 / ((1 + slope**2) * n_in)
_SELU = lambda n_in, n_out: 1 / n_in
_WALK = lambda n_in, n_out, gain=1.0: (
  2 * gain**2 * math.exp(2.4 / (max(n_in, 6) - 2.4)) / n_in
)
_WALK_LINEAR = lambda n_in, n_out, gain=1.0: gain**2 * math.exp(1 / n_in) / n_in
_ORTHOGONAL = lambda n_in, n_out, gain=1.0: gain**2 / max(n_in, n_out)
_MIRRORED = lambda n_in, n_out, gain=1.0: (
  gain**2 / ((max(n_in, n_out) + 1) // 2)
)
_NEAR_IDENTITY = lambda n_in, n_out, alpha=0.085: (1 + alpha**2) / n_in
_SPARSE = lambda n_in, n_out, nonzeros=15, std=1.0: (
  std**2 * min(nonzeros, n_in) / n_in
)
_ZERO = lambda n_in, n_out: (
  1 / n_in if n_in >= n_out else 0.5 ** math.ceil(math.log2(n_out))
)
_NG = lambda n_in, n_out, epsilon=None: (
  2 / (n_in + n_out) if epsilon is None else epsilon**2 / 3
)
_TORCH = lambda n_in, n_out: 1 / (3 * n_in)
_KERAS = lambda n_in, n_out: 2 / (n_in + n_out)
_HAIKU = lambda n_in, n_out: 0.7737413035499232 / n_in


def _walk_exact(n_in: int, n_out: int, gain: float = 1.0) -> float:
  """exp(-E log(chi^2_K / n)), K > 0 of n units active, over n."""
  from scipy import special, stats

  active = np.arange(1, n_in + 1)
  share = stats.binom.pmf(active, n_in, 0.5)
  log = np.sum(share * special.digamma(active / 2)) / np.sum(share)
  return gain**2 / 2 * math.exp(-log)


def _critical_variance(
  n_in: int, n_out: int, activation: functions.Named = 'tanh', q: float = 0.05
) -> float:
  return meanfield.critical_point(activation, q).weight_variance / n_in


def _critical_bias_variance(
  n_in: int, n_out: int, activation: functions.Named = 'tanh', q: float = 0.05
) -> float:
  return meanfield.critical_point(activation, q).bias_variance


# A name without a distribution stands for the distribution of its source.
SCHEMES: dict[str, base.Scheme] = {
  'standard': _scheme(
    standard, 'uniform', _STANDARD, 'Glorot & Bengio 2010, eq. 1'
  ),
  'glorot': _scheme(
    glorot_uniform, 'uniform', _GLOROT, 'Glorot & Bengio 2010, eq. 16'
  ),
  'glorot_uniform': _scheme(
    glorot_uniform, 'uniform', _GLOROT, 'Glorot & Bengio 2010, eq. 16'
  ),
  'glorot_normal': _scheme(
    glorot_normal, 'normal', _GLOROT, 'Glorot & Bengio 2010, eq. 12'
  ),
  'glorot_truncated_normal': _scheme(
    glorot_truncated_normal,
    'truncated_normal',
    _GLOROT,
    'Glorot & Bengio 2010, eq. 12',
  ),
  'lecun': _scheme(
    lecun_uniform, 'uniform', _LECUN, 'LeCun et al. 1998, section 4.6'
  ),
  'lecun_uniform': _scheme(
    lecun_uniform, 'uniform', _LECUN, 'LeCun et al. 1998, section 4.6'
  ),
  'lecun_normal': _scheme(
    lecun_normal, 'normal', _LECUN, 'LeCun et al. 1998, section 4.6'
  ),
  'lecun_truncated_normal': _scheme(
    lecun_truncated_normal,
    'truncated_normal',
    _LECUN,
    'LeCun et al. 1998, section 4.6',
  ),
  'he': _scheme(he_normal, 'normal', _HE, 'He et al. 2015, eq. 10'),
  'he_uniform': _scheme(he_uniform, 'uniform', _HE, 'He et al. 2015, eq. 10'),
  'he_normal': _scheme(he_normal, 'normal', _HE, 'He et al. 2015, eq. 10'),
  'he_truncated_normal': _scheme(
    he_truncated_normal, 'truncated_normal', _HE, 'He et al. 2015, eq. 10'
  ),
  'prelu': _scheme(prelu_normal, 'normal', _PRELU, 'He et al. 2015, eq. 15'),
  'prelu_uniform': _scheme(
    prelu_uniform, 'uniform', _PRELU, 'He et al. 2015, eq. 15'
  ),
  'prelu_normal': _scheme(
    prelu_normal, 'normal', _PRELU, 'He et al. 2015, eq. 15'
  ),
  'prelu_truncated_normal': _scheme(
    prelu_truncated_normal, 'truncated_normal', _PRELU, 'He et al. 2015, eq. 15'
  ),
  'selu': _scheme(selu, 'normal', _SELU, 'Klambauer et al. 2017, section 3'),
  'random_walk': _scheme(
    random_walk, 'normal', _WALK, 'Sussillo & Abbott 2014'
  ),
  'random_walk_linear': _scheme(
    random_walk_linear, 'normal', _WALK_LINEAR, 'Sussillo & Abbott 2014'
  ),
  'random_walk_exact': _scheme(
    random_walk_exact, 'normal', _walk_exact, 'Sussillo & Abbott 2014, exactly'
  ),
  'critical': _scheme(
    critical,
    'normal',
    _critical_variance,
    'Pennington et al. 2017',
    bias=critical_bias,
    bias_variance=_critical_bias_variance,
  ),
  'critical_orthogonal': _scheme(
    critical_orthogonal,
    'orthogonal',
    _critical_variance,
    'Pennington et al. 2017',
    bias=critical_bias,
    bias_variance=_critical_bias_variance,
  ),
  'orthogonal': _scheme(
    orthogonal, 'orthogonal', _ORTHOGONAL, 'Saxe et al. 2014'
  ),
  'orthogonal_rescaled': _scheme(
    orthogonal_rescaled, 'orthogonal', _LECUN, 'Saxe et al. 2014, rescaled'
  ),
  'sparse': _scheme(sparse, 'sparse', _SPARSE, 'Martens 2010, section 5'),
  'identity': _scheme(
    identity, 'fixed', _ORTHOGONAL, 'Le, Jaitly & Hinton 2015'
  ),
  'near_identity': _scheme(
    near_identity, 'near_identity', _NEAR_IDENTITY, 'Lee et al. 2025'
  ),
  'looks_linear': _scheme(
    looks_linear, 'mirrored', _MIRRORED, 'Balduzzi et al. 2017'
  ),
  'zero': _scheme(zero, 'fixed', _ZERO, 'ZerO, Zhao et al. 2022, algorithm 1'),
  'zeros': _scheme(zeros, 'fixed', lambda n_in, n_out: 0.0, 'all weights 0'),
  'ones': _scheme(ones, 'fixed', lambda n_in, n_out: 1.0, 'all weights 1'),
  'constant': _scheme(
    constant, 'fixed', lambda n_in, n_out, value=0.01: value**2, 'all alike'
  ),
  'uniform': _scheme(
    uniform,
    'uniform',
    lambda n_in, n_out, scale=0.01: scale**2 / 3,
    'U[-scale, scale)',
  ),
  'normal': _scheme(
    normal, 'normal', lambda n_in, n_out, std=0.01: std**2, 'N(0, std^2)'
  ),
  'truncated_normal': _scheme(
    truncated_normal,
    'truncated_normal',
    lambda n_in, n_out, std=0.01: std**2,
    'N(0, std^2), cut',
  ),
  'uniform_tenth': _scheme(
    lambda: uniform(0.1),
    'uniform',
    lambda n_in, n_out: 0.1**2 / 3,
    'U[-0.1, 0.1), common before 2010 (365 Data Science)',
  ),
  'normal_tenth': _scheme(
    lambda: normal(0.1),
    'normal',
    lambda n_in, n_out: 0.1**2,
    'N(0, 0.1^2), common before 2010 (365 Data Science)',
  ),
  'ng_epsilon': _scheme(
    ng_epsilon, 'uniform', _NG, 'Ng, Machine Learning, random initialization'
  ),
  'torch': _scheme(
    torch,
    'uniform',
    _TORCH,
    'torch.nn.Linear',
    bias=fan_in_bias,
    bias_variance=_TORCH,
  ),
  'equinox': _scheme(
    equinox,
    'uniform',
    _TORCH,
    'equinox.nn.Linear',
    bias=fan_in_bias,
    bias_variance=_TORCH,
  ),
  'keras': _scheme(keras, 'uniform', _KERAS, 'keras.layers.Dense'),
  'flax': _scheme(flax, 'truncated_normal', _SELU, 'flax.linen.Dense'),
  'haiku': _scheme(haiku, 'truncated_normal', _HAIKU, 'haiku.Linear'),
}


def resolve(text: str, distribution: str = 'default') -> base.Scheme:
  """The scheme of a name with knobs, in a distribution.

  Args:
    text: a key of `SCHEMES`, with knobs, as in 'sparse:nonzeros=10:std=1'. They
      are set in the returned scheme; its `knobs` are the others.
    distribution: 'default' for the scheme as it is; 'uniform', 'normal' or
      'truncated_normal' for that member of a family ('glorot', 'he', ...).

  Raises:
    UserError: the scheme or knob does not exist, the scheme has no choice of
      distribution, or a value is invalid.

  Examples:
    >>> resolve('glorot').law(300, 100).variance
    0.005
    >>> resolve('glorot:gain=2', 'normal').law(300, 100).family
    'normal'
  """
  name, given = functions.split(text)
  scheme = functions.lookup(SCHEMES, 'scheme', name)
  if distribution != 'default':
    base.lookup(kernels.DISTRIBUTIONS, 'distribution', distribution)
    if f'{name}_{distribution}' not in SCHEMES:
      families = [name for name in SCHEMES if f'{name}_uniform' in SCHEMES]
      raise base.UserError(
        f'scheme {name!r} has no choice of distribution; those that have one: '
        f'{", ".join(families)}'
      )
    scheme = SCHEMES[f'{name}_{distribution}']
  if not given:
    return scheme
  knobs = functions.values(name, given, knobs_of(scheme))
  scheme.make(**knobs)
  if scheme.bias:
    # Biases of frameworks have no knobs; critical ones share the weights'.
    known = functions.knobs_of(scheme.bias)
    of_bias = {knob: knobs[knob] for knob in knobs if knob in known}
    scheme = scheme._replace(
      bias=functools.partial(scheme.bias, **of_bias),
      bias_variance=functools.partial(scheme.bias_variance, **of_bias),
    )
  return scheme._replace(
    make=functools.partial(scheme.make, **knobs),
    law=functools.partial(scheme.law, **knobs),
    knobs=tuple(knob for knob in scheme.knobs if knob not in knobs),
  )


def knobs_of(scheme: base.Scheme) -> dict[str, Any]:
  """Knob -> default, for the knobs of its law, in order.

  Examples:
    >>> knobs_of(SCHEMES['sparse'])
    {'nonzeros': 15, 'std': 1.0}
  """
  known = functions.knobs_of(scheme.make)
  return {knob: known[knob] for knob in scheme.knobs}
