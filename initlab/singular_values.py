"""The three means of a layer Jacobian's singular values, as probes.

The layer Jacobian J_l = dz_l / dz_{l-1} = diag(f'(s_l)) w_l^T is eq. 17 of
Glorot & Bengio 2010, who call its average singular value both the ratio of
infinitesimal volumes and the ratio of activation variances. Those are three
numbers: the arithmetic mean of the singular values, which is
`probes.mean_singular_value`; their geometric mean, which a volume is
multiplied by; and the root of their mean square, by which a deviation is.
Without a nonlinearity and for square matrices of independent entries of
variance g^2 / n they are g 8/(3 pi) = 0.849 g, 0.607 g and g as widths grow.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from initlab import activations, base, layerwise, linear_regime, probes, theory

# Family of a square matrix of variance 1 / n -> the geometric mean of its
# singular values.
_VOLUMES = {
  'uniform': linear_regime.GEOMETRIC_MEAN,
  'normal': linear_regime.GEOMETRIC_MEAN,
  'truncated_normal': linear_regime.GEOMETRIC_MEAN,
  'orthogonal': 1.0,
}


def rms(params, activation, signals: base.Signals) -> base.Array:
  """Root mean square of the singular values of J_l, `[L]`.

  |J|_F / sqrt(min(n_in, n_out)), the mean over the examples that
  `probes.jacobian_examples` picks.
  """

  def of_layer(w: base.Array, slopes: base.Array) -> base.Array:
    square = slopes**2 @ jnp.sum(w**2, axis=0)[:, None] / min(w.shape)
    return jnp.mean(jnp.sqrt(square))

  return jnp.stack(_each(of_layer, params, activation, signals))


def geometric_mean(params, activation, signals: base.Signals) -> base.Array:
  """Geometric mean of the singular values of J_l, `[L]`; NaN if not square.

  |det J|^(1/n) = |det w|^(1/n) exp(mean log |f'(s)|), the mean over the same
  examples: the factor by which a length changes on average where volumes are
  conserved.
  """

  def of_layer(w: base.Array, slopes: base.Array) -> base.Array:
    if w.shape[0] != w.shape[1]:
      return jnp.asarray(jnp.nan, w.dtype)
    volume = jnp.linalg.slogdet(w)[1] / jnp.asarray(len(w), w.dtype)
    logs = jnp.mean(jnp.log(jnp.abs(slopes)), axis=1)
    return jnp.mean(jnp.exp(logs + volume[None]))

  return jnp.stack(_each(of_layer, params, activation, signals))


def predict(
  laws: Sequence[theory.WeightLaw],
  x: np.ndarray,
  activation: base.Activation,
  *,
  bias: float = 0.0,
) -> dict[str, np.ndarray]:
  """What both are as widths grow.

  With the variance q of s from the mean field, example by example, the mean
  square is max(n_in, n_out) Var[w] E f'(s)^2, and the geometric mean of a
  square layer of independent entries sqrt(n Var[w] / e) exp(E log |f'(s)|).

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


def _each(
  function: Callable[[base.Array, base.Array], base.Array],
  params: base.Params,
  activation: base.Activation,
  signals: base.Signals,
) -> list[base.Array]:
  """`function(w, slopes [E, n_out])` of every layer; the last is linear."""
  rows = probes.jacobian_examples(len(signals.x))
  slope = activations.derivative(activation)
  slopes = layerwise.each(lambda s: slope(s[rows]), signals.pre[:-1])
  slopes.append(jnp.ones_like(signals.pre[-1][rows]))
  return layerwise.each(function, [layer.w for layer in params], slopes)
