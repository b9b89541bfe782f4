"""The faults that `scripts/mutate` plants, and the tests that must see them.

A fault replaces a text that occurs once in its module; `tests/mutate_test.py`
checks that it does, so the table keeps up with the code.
"""

from typing import NamedTuple


class Fault(NamedTuple):
  """A wrong module, as a change of the right one.

  what: the fault in words.
  before: a text that occurs exactly once in the module.
  after: what stands in its place.
  unseen: why the tests do not see it, with the number: how large the effect is
    and what they could see.
  """

  what: str
  before: str
  after: str
  unseen: str = ''


# The test files of each module, the quickest first.
TESTS = {
  'initializers': (
    'initlab/initializers.py',
    'tests/initializers_test.py',
    'tests/engine/reproducibility_test.py',
  ),
  'kernels': (
    'initlab/kernels.py',
    'tests/initializers_test.py',
    'tests/engine/reproducibility_test.py',
  ),
  'keys': ('initlab/keys.py', 'tests/keys_test.py'),
  'mlp': ('tests/mlp_test.py',),
  'probes': ('tests/probes_test.py',),
  'stats': (
    'tests/stats_faults_test.py',
    'initlab/stats.py',
    'tests/stats_test.py',
  ),
  'theory': ('tests/theory_faults_test.py', 'tests/theory_test.py'),
  'losses': ('tests/losses_test.py', 'tests/theory_faults_test.py'),
  'grams': ('tests/grams_test.py', 'tests/theory_test.py'),
  'training': ('tests/training_test.py',),
  'minibatches': ('initlab/minibatches.py', 'tests/training_test.py'),
  'optimizers': ('tests/training_test.py',),
  'models/geometry': (
    'tests/models/sites_test.py',
    'tests/models/values_test.py',
  ),
  'models/entries': ('tests/models/sites_test.py',),
  'models/program': ('tests/models/sites_test.py',),
  'models/moments': (
    'tests/models/moments_test.py',
    'tests/models/measure_test.py',
  ),
  'models/readings': (
    'tests/models/measure_test.py',
    'tests/models/audit_test.py',
  ),
  'models/own_law': ('tests/models/own_law_test.py',),
  'models/redraw': (
    'tests/models/redraw_test.py',
    'tests/models/calibrate_test.py',
  ),
  'models/rescaling': ('tests/models/calibrate_test.py',),
  'models/calibrate': ('tests/models/calibrate_test.py',),
  'models/mimetic': ('tests/models/mimetic_test.py',),
  'models/coordinates': ('tests/models/coordinates_test.py',),
  'models/first_steps': ('tests/models/coordinates_test.py',),
  'models/parametrization': ('tests/models/parametrization_test.py',),
  'instruments/model_learning': ('tests/instruments/model_learning_test.py',),
}

_INITIALIZERS = (
  Fault(
    'uniform is on [-scale/2, scale/2)',
    "'uniform', lambda shape: 3**-0.5, scale",
    "'uniform', lambda shape: 0.5 * 3**-0.5, scale",
  ),
  Fault(
    'fan_in + 1',
    "'fan_in': lambda n_in, n_out: n_in,",
    "'fan_in': lambda n_in, n_out: n_in + 1,",
  ),
  Fault(
    'fan_out + 1',
    "'fan_out': lambda n_in, n_out: n_out,",
    "'fan_out': lambda n_in, n_out: n_out + 1,",
  ),
  Fault(
    'the sum of the fans for their mean',
    "'fan_avg': lambda n_in, n_out: (n_in + n_out) / 2,",
    "'fan_avg': lambda n_in, n_out: n_in + n_out,",
  ),
  Fault(
    'fan_geo_avg off by 1%',
    'math.sqrt(n_in * n_out),',
    '1.01 * math.sqrt(n_in * n_out),',
  ),
  Fault(
    'fan_geo_avg by the integer root',
    'math.sqrt(n_in * n_out),',
    'math.isqrt(n_in * n_out),',
  ),
  Fault(
    "the standard heuristic's third off by 0.1%",
    "_scaled(3**-0.5, gain, 'fan_in', 'uniform', axes)",
    "_scaled(3.003**-0.5, gain, 'fan_in', 'uniform', axes)",
  ),
  Fault(
    'glorot of fan_in',
    "variance_scaling(gain, 'fan_avg', 'uniform', **axes)",
    "variance_scaling(gain, 'fan_in', 'uniform', **axes)",
  ),
  Fault(
    'glorot_truncated_normal is not truncated',
    "variance_scaling(gain, 'fan_avg', 'truncated_normal', **axes)",
    "variance_scaling(gain, 'fan_avg', 'normal', **axes)",
  ),
  Fault(
    'PReLU with the slope for its square',
    '(2 / (1 + slope**2)) ** 0.5',
    '(2 / (1 + slope)) ** 0.5',
  ),
  Fault(
    'SELU with the gain of ReLU',
    "variance_scaling(1.0, 'fan_in', 'normal', **axes)",
    "variance_scaling(2**0.5, 'fan_in', 'normal', **axes)",
  ),
  Fault(
    "the random walk's 1.2 as 1.1, where it is drawn",
    'math.exp(1.2 / (max(n_in, 6) - 2.4))',
    'math.exp(1.1 / (max(n_in, 6) - 2.4))',
  ),
  Fault(
    "the random walk's 1.2 as 1.1, where it is declared",
    'math.exp(2.4 / (max(n_in, 6) - 2.4))',
    'math.exp(2.2 / (max(n_in, 6) - 2.4))',
  ),
  Fault(
    'the random walk without its floor of 6 inputs',
    'math.exp(1.2 / (max(n_in, 6) - 2.4))',
    'math.exp(1.2 / (max(n_in, 5) - 2.4))',
  ),
  Fault(
    'the linear random walk without the half',
    'math.exp(0.5 / n_in)',
    'math.exp(1.0 / n_in)',
  ),
  Fault(
    'orthogonal drawn from SO(n) only',
    '    w = q if n_in >= n_out else q.mT\n',
    '    if n_in == n_out:\n'
    '      q = q.at[..., 0].multiply(jnp.linalg.det(q)[..., None])\n'
    '    w = q if n_in >= n_out else q.mT\n',
  ),
  Fault(
    "orthogonal with LAPACK's signs",
    '    q = q * jnp.where(diagonal < 0, -1, 1).astype(dtype)[..., None, :]\n',
    '',
  ),
  Fault(
    'QR of a uniform matrix',
    'jax.random.normal(key, (*batch, long, short), dtype)',
    'jax.random.uniform(key, (*batch, long, short), dtype, -1.0, 1.0)',
  ),
  Fault(
    'one orthogonal matrix for a whole stack',
    'jax.random.normal(key, (*batch, long, short), dtype)',
    'jnp.broadcast_to(jax.random.normal(key, (long, short), dtype), '
    '(*batch, long, short))',
  ),
  Fault(
    'orthogonal rescaled by the columns',
    'math.sqrt(long / n_in) if rescale',
    'math.sqrt(long / n_out) if rescale',
  ),
  Fault(
    'delta-orthogonal beside the centre',
    '(size - 1) // 2 for size in spatial',
    'size // 2 for size in spatial',
  ),
  Fault(
    'the identity without its gain',
    'return kernels.times(w, 1.0, gain)',
    'return kernels.times(w, 1.0)',
  ),
  Fault(
    'ZerO with a digit too many',
    'digits = (n_out - 1).bit_length()',
    'digits = n_out.bit_length()',
  ),
  Fault(
    "a sparse column's values copied to the next",
    '    return jnp.where(kept, kernels.times(values, 1.0, std), 0)\n',
    '    even = shape[-1] // 2 * 2\n'
    '    values = values.at[..., 1:even:2].set(values[..., 0:even:2])\n'
    '    return jnp.where(kept, kernels.times(values, 1.0, std), 0)\n',
  ),
  Fault(
    'sparse units that share their inputs',
    'axis=-2, independent=True',
    'axis=-2, independent=False',
  ),
  Fault(
    'sparse with one input more',
    '(jnp.arange(shape[-2]) < nonzeros)',
    '(jnp.arange(shape[-2]) <= nonzeros)',
  ),
  Fault(
    'the biases of Equinox gone',
    "    'equinox.nn.Linear',\n"
    '    bias=fan_in_bias,\n'
    '    bias_variance=_TORCH,\n',
    "    'equinox.nn.Linear',\n",
  ),
  Fault(
    'biases of fan_out',
    'uniform(n_in**-0.5 if n_in else 0.0)',
    'uniform(n_out**-0.5 if n_in else 0.0)',
  ),
  Fault(
    "Flax's without the truncation",
    'return lecun_truncated_normal(**axes)',
    'return lecun_normal(**axes)',
  ),
  Fault(
    "Haiku's with the truncation corrected",
    "kernels.TRUNCATED_STD, 1.0, 'fan_in', 'truncated_normal', axes",
    "1.0, 1.0, 'fan_in', 'truncated_normal', axes",
  ),
  Fault(
    'resolve ignores the distribution',
    "scheme = SCHEMES[f'{name}_{distribution}']",
    'pass',
  ),
)

_KERNELS = (
  Fault(
    'the receptive field in one fan only',
    '_size(shape, field + ins), _size(shape, field + outs)',
    '_size(shape, field + ins), _size(shape, outs)',
  ),
  Fault(
    'fans swapped',
    '_size(shape, field + ins), _size(shape, field + outs)',
    '_size(shape, field + outs), _size(shape, field + ins)',
  ),
  Fault('uniform on [0, 1)', 'dtype, -1.0, 1.0', 'dtype, 0.0, 1.0'),
  Fault("uniform's root of 3 off by 1%", '    3**0.5,\n', '    3.06**0.5,\n'),
  Fault(
    'normals cut at 3',
    'key, -2.0, 2.0, shape, dtype',
    'key, -3.0, 3.0, shape, dtype',
  ),
  Fault(
    'no correction of the truncation',
    '    1 / TRUNCATED_STD,\n',
    '    1.0,\n',
  ),
  Fault(
    'draws in low precision',
    'return draw(key, shape, wide).astype(dtype)',
    'return draw(key, shape, dtype)',
  ),
  Fault(
    'no draws in float64',
    'wide = jnp.float64 if dtype == jnp.float64 else jnp.float32',
    'wide = jnp.float32',
  ),
  Fault(
    'no barrier before the product',
    '  draw, scale = jax.lax.optimization_barrier((draw, scale))\n',
    '',
  ),
  Fault(
    'no limit after the product',
    'return jax.lax.clamp(-largest, draw * scale, largest)',
    'return draw * scale',
  ),
  Fault(
    'a static gain is folded into the constant',
    'jnp.asarray(constant, draw.dtype) * jnp.asarray(gain, draw.dtype)',
    'jnp.asarray(constant * gain, draw.dtype)',
  ),
  Fault(
    'matrices laid out in the wrong order',
    'w.transpose(np.argsort(flat))',
    'w.transpose(flat)',
  ),
  Fault(
    'a guess for kernels of rank 3',
    'if rank > 2 and (in_axis is None or out_axis is None):',
    'if rank > 3 and (in_axis is None or out_axis is None):',
  ),
  Fault(
    'one of two axes that overlap is taken',
    '      if axis % rank in owner:\n',
    '      if axis in owner:\n',
  ),
  Fault(
    'NaN passes for a number',
    'if not max(minimum, -_LARGEST) <= checked <= _LARGEST:',
    'if checked > _LARGEST or checked < max(minimum, -_LARGEST):',
  ),
  Fault(
    'negative sizes pass',
    'if any(size < 0 for size in sizes):',
    'if any(size < -1 for size in sizes):',
  ),
)

_KEYS = (
  Fault(
    'layers l and l + 16 share a key',
    'return jax.random.fold_in(key, index)',
    'return jax.random.fold_in(key, index % 16)',
  ),
  Fault(
    'steps t and t + 2048 share a key',
    'return jax.random.fold_in(key, index)',
    'return jax.random.fold_in(key, index % 2048)',
  ),
  Fault(
    'seeds of 31 bits',
    'return jax.random.fold_in(key, index)',
    'return jax.random.fold_in(key, index & 0x7FFFFFFF)',
  ),
  Fault('other bytes of the digest', 'digest[:4]', 'digest[4:8]'),
  Fault('the other byte order', ", 'big')", ", 'little')"),
  Fault('streams by their first letter', 'name.encode()', 'name[:1].encode()'),
  Fault("JAX's default generator", ", impl='threefry2x32')", ')'),
  Fault('half of the seeds', 'SEED_LIMIT = 2**32', 'SEED_LIMIT = 2**31'),
  Fault(
    'a root seed that wraps round',
    "jax.random.key(_checked(root_seed, 'root seed')",
    "jax.random.key(_checked(root_seed % SEED_LIMIT, 'root seed')",
  ),
  Fault(
    'an index that wraps round',
    "index = _checked(index, 'index')",
    "index = _checked(index % SEED_LIMIT, 'index')",
  ),
)

_MLP = (
  Fault(
    'right labels counted as wrong',
    'jnp.argmax(logits, axis=-1).astype(jnp.int32) != y',
    'jnp.argmax(logits, axis=-1).astype(jnp.int32) == y',
  ),
  Fault(
    'layers l and l + 16 share a key',
    'layer_key = keys.at(key, index)',
    'layer_key = keys.at(key, index % 16)',
  ),
  Fault(
    'layers counted from 0',
    'jnp.arange(1, len(widths), dtype=jnp.uint32)',
    'jnp.arange(len(widths) - 1, dtype=jnp.uint32)',
  ),
  Fault(
    'biases dropped in square layers, where they are drawn',
    '    if bias is None:\n',
    '    if bias is None or shape[0] == shape[1]:\n',
  ),
  Fault(
    'biases dropped in square layers, where they are added',
    '  s = z @ w + jnp.broadcast_to(b, (len(z), len(b)))\n',
    '  s = z @ w + jnp.broadcast_to(b, (len(z), len(b)))\n'
    '  if w.shape[0] == w.shape[1]:\n'
    '    s = z @ w\n',
  ),
  Fault(
    'biases with the key of the weights',
    "keys.stream(layer_key, 'b')",
    "keys.stream(layer_key, 'w')",
  ),
  Fault(
    'weights of the transposed shape',
    "w = initializer(keys.stream(layer_key, 'w'), shape, dtype)",
    "w = initializer(keys.stream(layer_key, 'w'), shape[::-1], dtype).T",
  ),
  Fault('no shift', 'b + jnp.asarray(shift, dtype)', 'b'),
  Fault(
    'a nonlinear last layer',
    '_layer(lambda s: s, z, (params[-1], added[-1]))',
    '_layer(activation, z, (params[-1], added[-1]))',
  ),
  Fault(
    'pre-activations after the nonlinearity', 'pre.append(s)', 'pre.append(out)'
  ),
  Fault(
    'deep stretches from the top down',
    'jax.lax.scan(layer, z, layerwise.stack(stretch))',
    'jax.lax.scan(layer, z, layerwise.stack(stretch), reverse=True)',
  ),
  Fault(
    'gradients of a mean over the batch',
    'return losses.sum(), (traced, losses)',
    'return losses.mean(), (traced, losses)',
  ),
  Fault('taps added twice', '    s = s + tap\n', '    s = s + tap + tap\n'),
  Fault('a width of 0', 'min(widths) < 1', 'min(widths) < 0'),
)

_PROBES = (
  Fault('8 Lanczos steps', '_LANCZOS_STEPS = 24', '_LANCZOS_STEPS = 8'),
  Fault('the 99th percentile', '_PERCENTILE = 0.98', '_PERCENTILE = 0.99'),
  Fault('12 halvings', '_HALVINGS = 24', '_HALVINGS = 12'),
  Fault(
    'squares that underflow',
    'return largest * jnp.std(x / largest)',
    'return jnp.std(x)',
  ),
  Fault(
    'the mean kept in the deviation of weight gradients',
    'jnp.mean(square) - jnp.mean(mean) ** 2',
    'jnp.mean(square)',
  ),
  Fault(
    'a gradient norm of the sum over examples',
    '(gradient / gradient_max) / len(z)',
    '(gradient / gradient_max)',
  ),
  Fault(
    'the ratio of norms upside down',
    'norms[0] / norms[-1]',
    'norms[-1] / norms[0]',
  ),
  Fault(
    'negative slopes saturate',
    '(jnp.abs(slope(s)) < limit)',
    '(slope(s) < limit)',
  ),
  Fault(
    'dead on one example',
    'jnp.all(slope(s) == 0, axis=0)',
    'jnp.any(slope(s) == 0, axis=0)',
  ),
  Fault(
    'the Jacobian of the first 8 examples',
    'step = max(1, batch_size // 8)',
    'step = 1',
  ),
  Fault(
    'the Jacobian without its slopes',
    'gram = lambda v: slopes * ((slopes * v) @ w.T @ w)',
    'gram = lambda v: v @ w.T @ w',
  ),
  Fault(
    'a control variate of the same start vector',
    '  slope = jnp.roll(slope, 1, axis=-2)\n',
    '',
  ),
  Fault(
    'no control variate',
    ' - slope * (average(nodes) - mean[..., None])',
    '',
  ),
  Fault('no orthogonalization', 'for _ in range(2):', 'for _ in range(0):'),
  Fault(
    'samples of the first entries only',
    'jnp.arange(_SAMPLE_SIZE) * size // _SAMPLE_SIZE',
    'jnp.arange(_SAMPLE_SIZE) % size',
  ),
  Fault(
    'weight gradients of the layer above',
    'return (signals.x, *signals.post[:-1])',
    'return (signals.x, *signals.pre[:-1])',
  ),
)

_STATS = (
  Fault(
    'an interquartile mean that is cut at .30',
    'cut = n // 4',
    'cut = int(0.3 * n)',
  ),
  Fault(
    'Bonferroni for Holm',
    'p[order] * np.arange(p.size, 0, -1)',
    'p[order] * p.size',
  ),
  Fault(
    'Holm without the maximum',
    'steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))',
    'steps = p[order] * np.arange(p.size, 0, -1)',
  ),
  Fault(
    "Wilson's interval for Clopper and Pearson's",
    "(confidence, 'exact')",
    "(confidence, 'wilson')",
  ),
  Fault(
    "the effect without Hedges' correction",
    'np.exp(log_j) / np.sqrt(half) * d',
    'd',
  ),
  Fault(
    "Hedges' correction of n for n - 1",
    'half = (n - 1) / 2',
    'half = n / 2',
  ),
  Fault(
    'the interval of an effect of n degrees',
    '_noncentrality(n - 1, p, t)',
    '_noncentrality(n, p, t)',
  ),
  Fault(
    'a one-sided permutation test',
    'tail = (np.minimum(below, above) + more)',
    'tail = (above + more)',
  ),
  Fault(
    'differences the other way round',
    '    return a - b\n',
    '    return b - a\n',
  ),
  Fault(
    'an arithmetic mean of ratios',
    'np.where(of_zeros, zero, np.exp(log))',
    'np.where(of_zeros, zero, 1 + log)',
  ),
  Fault(
    'Student with n degrees',
    'special.stdtrit(n - 1, 1 - tail)',
    'special.stdtrit(n, 1 - tail)',
  ),
  Fault('a deviation of n', 'rest.std(0, ddof=1)', 'rest.std(0)'),
  Fault(
    'the best of k + 1',
    'math.comb(total, k), lambda j: math.comb(total - j, k)',
    'math.comb(total, k), lambda j: math.comb(total - j, k + 1)',
  ),
  Fault(
    'a zero is a value', 'if np.any(values < 0):', 'if np.any(values <= 0):'
  ),
)

_THEORY = (
  Fault(
    'the variance of biases is not handed up',
    'below.second + law.bias_variance',
    'below.second',
  ),
  Fault(
    'saturation without the constant bias',
    'activations.saturated_share(activation, q, bias)',
    'activations.saturated_share(activation, q)',
  ),
  Fault(
    'a deviation of activations that keeps the mean',
    'np.sqrt(np.mean(m.second) - np.mean(m.first) ** 2)',
    'np.sqrt(np.mean(m.second))',
  ),
  Fault(
    'a deviation of gradients that keeps the mean',
    'np.sqrt(np.mean(g) - mean**2)',
    'np.sqrt(np.mean(g))',
  ),
  Fault(
    'random biases tell examples apart',
    'pre = pre.shifted(law.bias_variance)',
    'pre = pre.scaled(1 + law.bias_variance / pre.square.mean())',
  ),
  Fault(
    'a finite width without the odd part of f^2',
    '+ odd**2 * 2 / np.pi * signed',
    '',
  ),
  Fault(
    'no variance of biases',
    'scheme.bias_variance(n_in, n_out),',
    '0.0,',
  ),
  Fault(
    'widths upside down in the spectrum',
    'ratio = law.n_out / law.n_in\n',
    'ratio = law.n_in / law.n_out\n',
  ),
  Fault(
    'the spectrum of the larger side',
    '* law.n_in / min(law.n_in, law.n_out)',
    '* law.n_in / max(law.n_in, law.n_out)',
  ),
  Fault(
    'orthogonal weights never compressed',
    'share = min(1.0, law.n_in / law.n_out)',
    'share = 1.0',
  ),
  Fault(
    'orthogonal weights as independent ones',
    "'orthogonal': _share_orthogonal",
    "'orthogonal': _share_independent",
  ),
  Fault(
    'the spectrum to 10 bisections',
    'bisect(excess, t, (t + (1 - share) * mean) / share)',
    'bisect(excess, t, (t + (1 - share) * mean) / share, 10)',
  ),
  Fault(
    'singular values off by 1%',
    'return 2 / np.pi * scale * share',
    'return 2.02 / np.pi * scale * share',
  ),
  Fault('a table of 8 values', '_TABULATED = 64', '_TABULATED = 8'),
)

_LOSSES = (
  Fault(
    "squared error's gradient loses its cross term",
    'variance + mean**2 + (1 - 2 * mean) / size,',
    'variance + mean**2 + 1 / size,',
  ),
  Fault(
    "squared error's mean gradient is the bias",
    'gradient_mean=lambda mean, size: mean - 1 / size,',
    'gradient_mean=lambda mean, size: mean,',
  ),
  Fault(
    'labels do not tell gradients apart',
    '_pairs(p) / (_DRAWS * size) + 2 / size * _different(label)',
    '_pairs(p) / (_DRAWS * size)',
  ),
  Fault(
    'a large loss grows with the deviation',
    'return largest * deviation + excess',
    'return value * deviation / _ONE_HOT',
  ),
)

_GRAMS = (
  Fault(
    'signs agree for all examples',
    '4 * b**2 / np.pi * theta',
    '0 * theta',
  ),
  Fault(
    'a kink is lost on examples',
    'np.sin(theta) - theta * np.cos(theta)',
    'np.sin(theta)',
  ),
  Fault(
    'the rest of an expansion is dropped',
    '_distance(of_values, apart) + _rest(rest, order, apart)',
    '_distance(of_values, apart)',
  ),
  Fault(
    'a jump of the slope is not taken in full',
    'slope_distance = slope_distance + jump**2 * missed',
    'slope_distance = slope_distance + 0 * missed',
  ),
)

_TRAINING = (
  Fault(
    'a mean loss that never starts again',
    'number = before.astype(float) + 1',
    'number = index.astype(float) + 1',
  ),
  Fault(
    'a diverged network moves on',
    'select = lambda new, old: jnp.where(sound, new, old)',
    'select = lambda new, old: jnp.where(alive, new, old)',
  ),
  Fault(
    'gradients are not looked at',
    'jnp.isfinite(loss) & _all_finite(_vectors(gradient))',
    'jnp.isfinite(loss)',
  ),
  Fault(
    'parameters are not looked at',
    'before == 0, lambda: _all_finite(state.params), lambda',
    'before == 0, lambda: jnp.bool_(True), lambda',
  ),
  Fault(
    'the last loss of a diverged network is not finite',
    'jnp.where(jnp.isfinite(loss), loss, state.last_loss)',
    'loss',
  ),
  Fault(
    'divergence a step late',
    'diverged_step=jnp.where(alive, index, state.diverged_step)',
    'diverged_step=jnp.where(alive, index + 1, state.diverged_step)',
  ),
  Fault(
    'a watch that counts a step late',
    'watch(config, network, moved, data, kept, index)',
    'watch(config, network, moved, data, kept, index + 1)',
  ),
  Fault(
    'what is recorded of a diverged network',
    '{name: jnp.where(alive, x, jnp.nan) for name, x in found.items()}',
    'found',
  ),
  Fault(
    'the last step is not recorded',
    '{*range(0, steps, every), steps}',
    '{*range(0, steps, every), steps - 1}',
  ),
)

_MINIBATCHES = (
  Fault(
    'generated minibatches repeat every 256 steps',
    'keys.at(key, step.astype(jnp.uint32))',
    'keys.at(key, step.astype(jnp.uint32) % 256)',
  ),
  Fault(
    'one order for all epochs',
    'jax.random.permutation(keys.at(key, epoch), count)',
    'jax.random.permutation(keys.at(key, 0 * epoch), count)',
  ),
  Fault(
    'each order for two epochs',
    'jax.random.permutation(keys.at(key, epoch), count)',
    'jax.random.permutation(keys.at(key, epoch // 2), count)',
  ),
  Fault(
    'examples in the same order, not the labels',
    'return jax.tree.map(lambda x: x[rows], data)',
    'return data._replace(x=data.x[rows], y=data.y[:size])',
  ),
  Fault(
    'the epoch that follows is the one before',
    '[orders[count:], order(epoch + jnp.uint32(1))]',
    '[orders[count:], order(epoch)]',
  ),
)

_OPTIMIZERS = (
  Fault(
    'no schedule',
    'learning_rate * factor(count.astype(float))',
    'learning_rate * factor(0 * count.astype(float))',
  ),
  Fault(
    'momentum of 0.8',
    "'momentum': lambda rate: optax.sgd(rate, momentum=0.9)",
    "'momentum': lambda rate: optax.sgd(rate, momentum=0.8)",
  ),
  Fault(
    "Nesterov's momentum is the plain one",
    'momentum=0.9, nesterov=True',
    'momentum=0.9',
  ),
  Fault('adamw is adam', "'adamw': optax.adamw", "'adamw': optax.adam"),
  Fault('a warm-up twice as long', '_WARM_UP = 0.1', '_WARM_UP = 0.2'),
  Fault('a decay to 5%', '_SMALLEST_FACTOR = 0.01', '_SMALLEST_FACTOR = 0.05'),
)

_MODELS_GEOMETRY = (
  Fault(
    'fan-in without the receptive field',
    'Geometry(tuple(roles), positions * shape[into], n_out',
    'Geometry(tuple(roles), shape[into], n_out',
  ),
  Fault(
    'fan-in axes are those that are not summed',
    "'in' if d in contracted else 'batch' if d in batch else 'out'",
    "'out' if d in contracted else 'batch' if d in batch else 'in'",
  ),
  Fault(
    'a window holds the channels of every group',
    "groups = params['feature_group_count'] * params['batch_group_count']",
    'groups = 1',
  ),
)

_MODELS_ENTRIES = (
  Fault(
    'a leaf that is used twice is alone',
    'found = {each: start[each] for each in start if uses[each] == 1}',
    'found = {each: start[each] for each in start}',
  ),
)

_MODELS_PROGRAM = (
  Fault(
    'what no output needs is kept',
    'elif needed.intersection(each.outputs):',
    'elif each.outputs:',
  ),
)

_MODELS_MOMENTS = (
  Fault(
    'sinks take twice what comes down',
    'lambda _, g: (g, of(g))',
    'lambda _, g: (g, of(2 * g))',
  ),
  Fault(
    'all is added in one go',
    'while first and math.prod(shape[first - 1 :]) <= _STEP:',
    'while first:',
  ),
  Fault(
    'a cosine over a product that float32 loses',
    'whole = (a * scale) * (b * scale)',
    'whole = a * b',
  ),
  Fault(
    'squares that float32 loses',
    'root = np.where(square < low, np.sqrt(tiny) / _SCALE, np.sqrt(square))',
    'root = np.sqrt(square)',
  ),
)

_MODELS_READINGS = (
  Fault(
    'skip and branch are swapped',
    'for each in (residual.skip, residual.branch)',
    'for each in (residual.branch, residual.skip)',
  ),
)

_MODELS_OWN_LAW = (
  Fault(
    'factors of variances for those of deviations',
    'factor = (row.square / law.square(row)) ** 0.5',
    'factor = row.square / law.square(row)',
  ),
  Fault(
    'a fellow that departs as well is a witness',
    'if _same(other.square, law.square(other))\n    ]\n    apart',
    ']\n    apart',
  ),
)

_MODELS_REDRAW = (
  Fault(
    'axes are not told to the scheme',
    'leaves.initializer(scheme, axes_of(use))',
    'leaves.initializer(scheme, kernels.Axes())',
  ),
  Fault(
    'a tied leaf is drawn',
    "return f'it is tied: {len(use.kinds)} sites use the same entries'",
    "return ''",
  ),
  Fault(
    'branches over their number, not its root',
    'return max(adds, 1) ** -0.5',
    'return 1 / max(adds, 1)',
  ),
)

_MODELS_RESCALING = (
  Fault(
    'tied leaves are rescaled',
    'left = not_alone(model)',
    'left = {}',
  ),
  Fault(
    'the deviation of the layer for that of the unit',
    'units = site.units if targets.per_unit else ()\n      factor',
    'units = ()\n      factor',
  ),
  Fault(
    'LSUV by the variance for its root',
    '/ _mean(output, units, jnp.std)',
    '/ _mean(output, units, jnp.var)',
  ),
)

_MODELS_CALIBRATE = (
  Fault(
    'biases stay as they are',
    'leaf = by_layers * growth[use.name].reshape(-1, 1)',
    'leaf = by_layers * jnp.ones_like(growth[use.name]).reshape(-1, 1)',
  ),
  Fault(
    'rates corrected twice as much',
    'jnp.exp(damping / 2 * (rate - mean))',
    'jnp.exp(damping * (rate - mean))',
  ),
)

_MODELS_MIMETIC = (
  Fault(
    'values and outputs near plus the identity',
    '(stack,), n, alpha, -beta)',
    '(stack,), n, alpha, beta)',
  ),
  Fault(
    'the smallest singular values',
    's[..., None, :size]',
    's[..., None, -size:]',
  ),
)

_MODELS_COORDINATES = (
  Fault(
    'slopes on the width for its logarithm',
    'x = np.log2(np.asarray(widths, np.float64))',
    'x = np.asarray(widths, np.float64) / widths[0]',
  ),
)

_MODELS_FIRST_STEPS = (
  Fault(
    'changes since the step before',
    'moved = outputs[1:] - outputs[:1]',
    'moved = outputs[1:] - outputs[:-1]',
  ),
)

_MODELS_PARAMETRIZATION = (
  Fault(
    'the readout is labelled hidden',
    "(True, False): 'output',",
    "(True, False): 'hidden',",
  ),
  Fault(
    'hidden weights fall as 1 / m',
    "'hidden': r_in**-0.5, 'output'",
    "'hidden': 1 / r_in, 'output'",
  ),
)

_MODEL_LEARNING = (
  Fault(
    'all seeds draw their minibatches from the stream of the params',
    "key = keys.stream(key, 'data')",
    "key = keys.stream(key, 'init')",
  ),
  Fault(
    'the test examples are those of validation',
    "cut(places['test'][: config.test_size])",
    "cut(places['valid'][: config.valid_size])",
  ),
  Fault(
    'a scheme that is asked for some leaves draws the kernels',
    "every = config.select == 'kernels'",
    'every = True',
  ),
  Fault(
    'the distance is from zero',
    'jnp.subtract, network.params',
    'jnp.add, network.params',
  ),
  Fault(
    'the final error is the loss',
    "'final_error': error",
    "'final_error': loss",
  ),
)

FAULTS: dict[str, tuple[Fault, ...]] = {
  'initializers': _INITIALIZERS,
  'kernels': _KERNELS,
  'keys': _KEYS,
  'mlp': _MLP,
  'probes': _PROBES,
  'stats': _STATS,
  'theory': _THEORY,
  'losses': _LOSSES,
  'grams': _GRAMS,
  'training': _TRAINING,
  'minibatches': _MINIBATCHES,
  'optimizers': _OPTIMIZERS,
  'models/geometry': _MODELS_GEOMETRY,
  'models/entries': _MODELS_ENTRIES,
  'models/program': _MODELS_PROGRAM,
  'models/moments': _MODELS_MOMENTS,
  'models/readings': _MODELS_READINGS,
  'models/own_law': _MODELS_OWN_LAW,
  'models/redraw': _MODELS_REDRAW,
  'models/rescaling': _MODELS_RESCALING,
  'models/calibrate': _MODELS_CALIBRATE,
  'models/mimetic': _MODELS_MIMETIC,
  'models/coordinates': _MODELS_COORDINATES,
  'models/first_steps': _MODELS_FIRST_STEPS,
  'models/parametrization': _MODELS_PARAMETRIZATION,
  'instruments/model_learning': _MODEL_LEARNING,
}
