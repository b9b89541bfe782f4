"""Pure measurements of a network: one number per layer, or one in all.

All probes share the same `Signals`, so a batch takes one forward and one
backward pass. Means and standard deviations of a layer are over its units and
the examples together. Sums of squares are rescaled first: otherwise float32
would underflow for signals below 1e-19, which deep networks have.
"""

from collections.abc import Callable
import math
from typing import Any

import jax
import jax.numpy as jnp

from initlab import activations, base, keys, layerwise

_LANCZOS_STEPS = 24
_SAMPLE_SIZE = 400
_PERCENTILE = 0.98
_HALVINGS = 24


def activation_mean(params, activation, signals: base.Signals) -> base.Array:
  """Mean of z_l."""
  del params, activation
  return _stack(jnp.mean, signals.post)


def activation_std(params, activation, signals: base.Signals) -> base.Array:
  """Standard deviation of z_l; of the logits in the last layer.

  References:
    Glorot & Bengio, 2010, eq. 5 and figures 3 and 6.
  """
  del params, activation
  return _stack(_std, signals.post)


def activation_within_std(params, activation, signals: base.Signals):
  """Standard deviation of z_l over the examples, within a unit.

  The root of the mean over units of the variance over examples. An offset that
  a unit has for all examples counts only in `activation_std`.
  """
  del params, activation
  return _stack(_within_std, signals.post)


def example_cosine(params, activation, signals: base.Signals) -> base.Array:
  """Mean cosine of the pre-activations s_l of two examples; NaN for one.

  cos(x, y) = s(x) . s(y) / (|s(x)| |s(y)|), over pairs x != y. It approaches 1
  if a network no longer distinguishes examples.

  References:
    Poole et al., Exponential expressivity in deep neural networks through
    transient chaos, 2016, section 2: the correlation c_12.
  """
  del params, activation

  def cosine(s: base.Array) -> base.Array:
    size = len(s)
    s = s / _largest(s)
    s = s / jnp.linalg.norm(s, axis=1, keepdims=True)
    return (jnp.sum(s.sum(axis=0) ** 2) - size) / (size * (size - 1.0))

  return _stack(cosine, signals.pre)


def activation_percentile(params, activation, signals: base.Signals):
  """98th percentile of |z_l|: the least q with P(|z_l| <= q) >= 0.98.

  If z_l is symmetric about 0, it is the 99th percentile of z_l. By bisection:
  24 steps, error at most 2^-24 max |z_l|, biased up; 10 times faster than
  sorting.

  References:
    Glorot & Bengio, 2010, figures 3 and 10.
  """
  del params, activation

  def percentile(z: base.Array) -> base.Array:
    size, least = jnp.abs(z), math.ceil(_PERCENTILE * z.size)

    def halve(_, ends: tuple[base.Array, base.Array]):
      low, high = ends
      middle = (low + high) / 2
      below = jnp.sum((size <= middle).astype(jnp.int32), axis=0)
      enough = jnp.sum(below) >= least
      return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    ends = jnp.zeros((), z.dtype), jnp.max(size)
    return jax.lax.fori_loop(0, _HALVINGS, halve, ends)[1]

  return _stack(percentile, signals.post)


def gradient_std(params, activation, signals: base.Signals) -> base.Array:
  """Standard deviation of dC/ds_l, C the loss of one example.

  References:
    Glorot & Bengio, 2010, eq. 6 and figure 7.
  """
  del params, activation
  return _stack(_std, signals.gradient)


def gradient_within_std(params, activation, signals: base.Signals):
  """Standard deviation of dC/ds_l over the examples, within a unit.

  See `activation_within_std`; C is the loss of one example.
  """
  del params, activation
  return _stack(_within_std, signals.gradient)


def weight_gradient_std(params, activation, signals: base.Signals):
  """Standard deviation of dC/dw_l, C the loss of one example.

  An entry is z_{l-1,j} dC/ds_{l,k}; the spread is over j, k and the examples.

  References:
    Glorot & Bengio, 2010, eq. 3, 7 and 14, figure 8.
  """
  del params, activation

  def spread(z: base.Array, gradient: base.Array) -> base.Array:
    z_max, gradient_max = _largest(z), _largest(gradient)
    z, gradient = z / z_max, gradient / gradient_max
    square = jnp.mean(z**2, axis=1) * jnp.mean(gradient**2, axis=1)
    mean = jnp.mean(z, axis=1) * jnp.mean(gradient, axis=1)
    variance = jnp.maximum(jnp.mean(square) - jnp.mean(mean) ** 2, 0.0)
    return z_max * gradient_max * jnp.sqrt(variance)

  return _stack(spread, _inputs(signals), signals.gradient)


def gradient_norm(params, activation, signals: base.Signals) -> base.Array:
  """Frobenius norm of dC/dw_l, C the mean loss of the batch."""
  del params, activation

  def norm(z: base.Array, gradient: base.Array) -> base.Array:
    z_max, gradient_max = _largest(z), _largest(gradient)
    mean = (z / z_max).T @ (gradient / gradient_max) / len(z)
    return z_max * gradient_max * jnp.sqrt(jnp.sum(mean**2))

  return _stack(norm, _inputs(signals), signals.gradient)


def gradient_norm_ratio(params, activation, signals: base.Signals):
  """Norm of dC/dw of the first layer over that of the last, `[]`."""
  norms = gradient_norm(params, activation, signals)
  return norms[0] / norms[-1]


def mean_singular_value(params, activation, signals: base.Signals):
  """Arithmetic mean of the singular values of J_l = dz_l / dz_{l-1}.

  J_l = diag(f'(s_l)) w_l^T for one example; the mean is over its
  min(n_in, n_out) singular values and over 8 examples of the batch. Estimated
  as the trace of (J J^T)^1/2 by stochastic Lanczos quadrature: 24 steps from
  one fixed sign vector per example, with the exact trace of J J^T as a control
  variate.

  References:
    Glorot & Bengio, 2010, eq. 17 and the text after it (0.8 and 0.5).
    Ubaru, Chen & Saad, Fast estimation of tr(f(A)) via stochastic Lanczos
    quadrature, 2017.
  """
  found = _of_jacobians(_lanczos, params, activation, signals)
  return _mean_root(*layerwise.stack(found))


def rms(params, activation, signals: base.Signals) -> base.Array:
  """Root mean square of the singular values of J_l, `[L]`.

  |J|_F / sqrt(min(n_in, n_out)), the mean over the examples that
  `probes.jacobian_examples` picks.
  """

  def of_layer(w: base.Array, slopes: base.Array) -> base.Array:
    square = slopes**2 @ jnp.sum(w**2, axis=0)[:, None] / min(w.shape)
    return jnp.mean(jnp.sqrt(square))

  return jnp.stack(_of_jacobians(of_layer, params, activation, signals))


def geometric_mean(params, activation, signals: base.Signals) -> base.Array:
  """Geometric mean of the singular values of J_l, `[L]`; NaN if not square.

  |det J|^(1/n) = |det w|^(1/n) exp(mean log |f'(s)|), the mean over the same
  examples: the n-th root of the factor by which volumes change.
  """

  def of_layer(w: base.Array, slopes: base.Array) -> base.Array:
    if w.shape[0] != w.shape[1]:
      return jnp.asarray(jnp.nan, w.dtype)
    volume = jnp.linalg.slogdet(w)[1] / jnp.asarray(len(w), w.dtype)
    logs = jnp.mean(jnp.log(jnp.abs(slopes)), axis=1)
    return jnp.mean(jnp.exp(logs + volume[None]))

  return jnp.stack(_of_jacobians(of_layer, params, activation, signals))


def jacobian_examples(batch_size: int) -> slice:
  """The 8 evenly spaced examples of a batch for Jacobians."""
  step = max(1, batch_size // 8)
  return slice(0, 8 * step, step)


def saturated(params, activation, signals: base.Signals) -> base.Array:
  """Share of units and examples where |f'(s_l)| < 0.1 sup |f'|.

  I.e. |z| > 0.949 for tanh, z outside (0.026, 0.974) for the sigmoid, and the
  inactive units for ReLU. Zero in the last layer, which is linear.
  """
  del params
  limit = activations.SATURATED_SLOPE * activations.steepest_slope(activation)
  slope = activations.derivative(activation)
  share = lambda s: jnp.mean((jnp.abs(slope(s)) < limit).astype(s.dtype))
  return _hidden(share, signals)


def dead(params, activation, signals: base.Signals) -> base.Array:
  """Share of units whose slope f'(s_l) is zero on every example of the batch.

  No example of the batch moves such a unit's incoming weights. Zero in the last
  layer, which is linear.
  """
  del params
  slope = activations.derivative(activation)
  share = lambda s: jnp.mean(jnp.all(slope(s) == 0, axis=0).astype(s.dtype))
  return _hidden(share, signals)


def mean_loss(params, activation, signals: base.Signals) -> base.Array:
  """Mean loss of the batch, `[]`; ln(classes) nats for a uniform softmax."""
  del params, activation
  return jnp.mean(signals.loss)


def activation_sample(params, activation, signals: base.Signals):
  """400 values of z_l, spread over examples and units, `[L, 400]`."""
  del params, activation
  return _stack(_sample, signals.post)


def gradient_sample(params, activation, signals: base.Signals) -> base.Array:
  """400 values of dC/ds_l, spread over examples and units, `[L, 400]`."""
  del params, activation
  return _stack(_sample, signals.gradient)


def weight_gradient_sample(params, activation, signals: base.Signals):
  """400 entries of dC/dw_l of single examples, evenly spread, `[L, 400]`."""
  del params, activation

  def sample(z: base.Array, gradient: base.Array) -> base.Array:
    count = jnp.arange(_SAMPLE_SIZE)
    example = count % len(z)
    unit_in = _spread(z.shape[1])
    unit_out = (count * 7919) % gradient.shape[1]
    return z[example, unit_in] * gradient[example, unit_out]

  return _stack(sample, _inputs(signals), signals.gradient)


def _stack(measure, *layers) -> base.Array:
  return jnp.stack(layerwise.each(measure, *layers))


def _hidden(measure, signals: base.Signals) -> base.Array:
  measured = layerwise.each(measure, signals.pre[:-1])
  return jnp.stack([*measured, jnp.zeros((), signals.x.dtype)])


def _inputs(signals: base.Signals) -> tuple[base.Array, ...]:
  return (signals.x, *signals.post[:-1])


def _largest(x: base.Array) -> base.Array:
  return jnp.maximum(jnp.max(jnp.abs(x)), jnp.finfo(x.dtype).tiny)


def _std(x: base.Array) -> base.Array:
  largest = _largest(x)
  return largest * jnp.std(x / largest)


def _within_std(x: base.Array) -> base.Array:
  # Differences from one example are exact where all are nearly equal.
  apart = x - x[:1]
  largest = _largest(apart)
  return largest * jnp.sqrt(jnp.mean(jnp.var(apart / largest, axis=0)))


def _spread(size: int) -> base.Array:
  return jnp.arange(_SAMPLE_SIZE) * size // _SAMPLE_SIZE


def _sample(x: base.Array) -> base.Array:
  return x.ravel()[_spread(x.size)]


def _of_jacobians(
  function: Callable[[base.Array, base.Array], Any],
  params: base.Params,
  activation: base.Activation,
  signals: base.Signals,
) -> list[Any]:
  """Maps `function(w, slopes [E, n_out])` over layers; the last is linear."""
  rows = jacobian_examples(len(signals.x))
  slope = activations.derivative(activation)
  slopes = layerwise.each(lambda s: slope(s[rows]), signals.pre[:-1])
  slopes.append(jnp.ones_like(signals.pre[-1][rows]))
  return layerwise.each(function, [layer.w for layer in params], slopes)


def _lanczos(w: base.Array, slopes: base.Array) -> tuple[base.Array, ...]:
  """Tridiagonalizes the smaller Gram matrix of diag(slopes) w^T, by example.

  Args:
    w: `[n_in, n_out]` weights.
    slopes: `[E, n_out]`.

  Returns:
    The diagonals `[E, K]`, the off-diagonals `[E, K]` (the last one is the
    residual), and the exact mean eigenvalues `[E]`. A Krylov space that is
    exhausted before K steps leaves an off-diagonal of zero, up to rounding,
    which decouples the rest.
  """
  n_in, n_out = w.shape
  if n_out <= n_in:
    gram = lambda v: slopes * ((slopes * v) @ w.T @ w)
  else:
    gram = lambda v: (slopes**2 * (v @ w)) @ w.T
  side, examples = min(n_in, n_out), len(slopes)
  signs_key = keys.stream(keys.root(0), 'singular values')
  start = jax.random.rademacher(signs_key, (examples, side), w.dtype)
  start = start / jnp.sqrt(jnp.asarray(side, w.dtype))

  def step(carry, index):
    basis, v = carry
    basis = basis.at[index].set(v)
    u = gram(v)
    alpha = jnp.sum(u * v, axis=-1)
    for _ in range(2):
      overlaps = jnp.einsum('kes,es->ke', basis, u)
      u = u - jnp.einsum('ke,kes->es', overlaps, basis)
    beta = jnp.linalg.norm(u, axis=-1)
    v = u / jnp.maximum(beta, jnp.finfo(w.dtype).tiny)[:, None]
    return (basis, v), (alpha, beta)

  basis = jnp.zeros((_LANCZOS_STEPS, examples, side), w.dtype)
  steps = jnp.arange(_LANCZOS_STEPS)
  _, (alpha, beta) = jax.lax.scan(step, (basis, start), steps)
  mean = (slopes**2 @ jnp.sum(w**2, axis=0)[:, None])[:, 0] / side
  return alpha.T, beta.T, mean


def _mean_root(
  alpha: base.Array, beta: base.Array, mean: base.Array
) -> base.Array:
  """The mean root of the eigenvalues, `[L]`, from what `_lanczos` returns.

  Gauss quadrature of the root, with the eigenvalue itself as a control variate.
  The regression slope is the next example's: the slope from the same start
  vector would bias the estimate.
  """
  tridiagonal = jnp.vectorize(
    lambda a, b: jnp.diag(a) + jnp.diag(b[:-1], 1) + jnp.diag(b[:-1], -1),
    signature='(k),(k)->(k,k)',
  )(alpha, beta)
  nodes, vectors = jnp.linalg.eigh(tridiagonal)
  weights = vectors[..., 0, :] ** 2
  roots = jnp.sqrt(jnp.maximum(nodes, 0.0))
  average = lambda x: jnp.sum(weights * x, axis=-1, keepdims=True)
  centre = lambda x: x - average(x)
  info = jnp.finfo(alpha.dtype)
  noise = (info.eps * average(nodes)) ** 2 + info.tiny
  covariance = average(centre(nodes) * centre(roots))
  slope = covariance / jnp.maximum(average(centre(nodes) ** 2), noise)
  slope = jnp.roll(slope, 1, axis=-2)
  estimate = average(roots) - slope * (average(nodes) - mean[..., None])
  return jnp.mean(estimate[..., 0], axis=-1)


PROBES: dict[str, base.Probe] = {
  'activation_mean': activation_mean,
  'activation_std': activation_std,
  'activation_within_std': activation_within_std,
  'activation_percentile': activation_percentile,
  'example_cosine': example_cosine,
  'gradient_std': gradient_std,
  'gradient_within_std': gradient_within_std,
  'weight_gradient_std': weight_gradient_std,
  'gradient_norm': gradient_norm,
  'gradient_norm_ratio': gradient_norm_ratio,
  'mean_singular_value': mean_singular_value,
  'saturated': saturated,
  'dead': dead,
  'mean_loss': mean_loss,
  'activation_sample': activation_sample,
  'gradient_sample': gradient_sample,
  'weight_gradient_sample': weight_gradient_sample,
}
