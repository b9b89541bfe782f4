"""Every scheme against the law that it declares, on several kernels."""

from collections.abc import Callable
import functools
import inspect
import math
from typing import Any, NamedTuple

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from initlab import base, initializers, kernels, keys, testing


class Kernel(NamedTuple):
  """A kernel with its fans and its matrices, written by hand."""

  shape: tuple[int, ...]
  axes: kernels.Axes
  n_in: int
  n_out: int
  matrices: testing.Matrices


_KERNELS = {
  'square': Kernel((32, 32), {}, 32, 32, lambda w: w),
  'tall': Kernel((512, 64), {}, 512, 64, lambda w: w),
  'wide': Kernel((16, 64), {}, 16, 64, lambda w: w),
  'convolution': Kernel(
    (3, 3, 4, 20),
    {'in_axis': -2, 'out_axis': -1},
    36,
    180,
    lambda w: w.reshape(-1, 36, 20),
  ),
  'attention': Kernel(
    (24, 4, 8),
    {'in_axis': 0, 'out_axis': (1, 2)},
    24,
    32,
    lambda w: w.reshape(-1, 24, 32),
  ),
  'stack': Kernel(
    (4, 16, 24),
    {'in_axis': -2, 'out_axis': -1, 'batch_axis': 0},
    16,
    24,
    lambda w: w.reshape(-1, 16, 24),
  ),
}
_RANDOM = tuple(
  name
  for name, scheme in initializers.SCHEMES.items()
  if scheme.law(8, 8).family != 'fixed'
)
_INDEPENDENT = tuple(
  name
  for name in _RANDOM
  if initializers.SCHEMES[name].law(8, 8).family in kernels.DISTRIBUTIONS
)
# Small ones, where a fan that is off by one is far off.
_FANS = ((3, 5), (40, 7))
_DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)
# One of each way to draw; the others share its code.
_WAYS = (
  'he_uniform',
  'he_normal',
  'he_truncated_normal',
  'random_walk',
  'orthogonal_rescaled',
  'sparse',
  'looks_linear',
  'near_identity',
  'identity',
  'zero',
)
_WITH_GAIN = tuple(
  name
  for name, scheme in initializers.SCHEMES.items()
  if 'gain' in scheme.knobs
)


def _every_scheme_on_every_kernel() -> list[tuple[str, str]]:
  return [
    (name, kernel)
    for kernel, case in _KERNELS.items()
    for name, scheme in initializers.SCHEMES.items()
    if not case.axes or _takes_axes(scheme.make)
  ]


def _in_few(name: str, kernel: str) -> bool:
  """One of each way to draw, and for one kernel every matrix with a structure.

  The scale of independent entries is tested exactly, of every scheme.
  """
  return name in _WAYS or (kernel == 'tall' and name not in _INDEPENDENT)


@functools.cache
def _draws(
  kernel: str, few: bool = False, **knobs: float
) -> dict[str, list[np.ndarray]]:
  """The draws of the schemes that have these knobs, for one kernel.

  The tall one is looked at closely enough to see 1%, and in every precision.
  """
  case = _KERNELS[kernel]
  close = kernel == 'tall'
  return testing.sample_all(
    {
      name: scheme.make(**knobs, **case.axes)
      for name, scheme in initializers.SCHEMES.items()
      if set(knobs) <= set(scheme.knobs)
      and (not case.axes or _takes_axes(scheme.make))
      and (not few or _in_few(name, kernel))
    },
    case.shape,
    2**19 if close else 2**16,
    _DTYPES if close else _DTYPES[:1],
  )


def _takes_axes(make: Callable[..., Any]) -> bool:
  return 'axes' in inspect.signature(make).parameters


def _law(name: str, kernel: Kernel, **knobs: Any) -> base.Law:
  # The orthogonal family is about the matrix, whose columns are the out axes;
  # a receptive field multiplies the fan-out of the other families only.
  scheme = initializers.SCHEMES[name]
  n_in, n_out = kernel.n_in, kernel.n_out
  if scheme.law(n_in, n_out).family in ('orthogonal', 'sparse', 'mirrored'):
    n_in, n_out = kernel.matrices(np.zeros((1, *kernel.shape))).shape[1:]
  return scheme.law(n_in, n_out, **knobs)


def _check_low_precision(name: str, draws: list[np.ndarray]) -> None:
  law = _law(name, _KERNELS['tall'])
  for w, dtype in zip(draws, _DTYPES, strict=True):
    if dtype != jnp.float32:
      testing.check_low_precision(w, dtype, law)


def _draw(name: str, shape: Any = (33, 17), dtype: Any = jnp.float32, seed=0):
  make = initializers.SCHEMES[name].make
  return make()(keys.root(seed), shape, dtype)


def _unit(distribution: str) -> base.Initializer:
  """Draws of unit variance."""
  return {
    'uniform': initializers.uniform(3**0.5),
    'normal': initializers.normal(1.0),
    'truncated_normal': initializers.truncated_normal(1.0),
  }[distribution]


class SchemesTest(parameterized.TestCase):
  @parameterized.parameters(
    each for each in _every_scheme_on_every_kernel() if _in_few(*each)
  )
  def test_draws_follow_the_law(self, name: str, kernel: str):
    case = _KERNELS[kernel]
    w = _draws(kernel, few=True)[name][0]
    testing.check_draws(w, _law(name, case), case.matrices)

  @parameterized.parameters(
    each for each in _every_scheme_on_every_kernel() if not _in_few(*each)
  )
  @pytest.mark.slow
  def test_draws_of_every_scheme_follow_the_law(self, name: str, kernel: str):
    case = _KERNELS[kernel]
    w = _draws(kernel)[name][0]
    testing.check_draws(w, _law(name, case), case.matrices)

  @parameterized.parameters(*_INDEPENDENT)
  def test_scale_is_exact(self, name: str):
    """Against draws of unit variance, which have the same key.

    Each is a float32 constant, a product or two: 5 roundings of 2^-24 in all.
    So an error of a millionth shows, of a fan that is off by one, or of a
    constant; the statistics say that the common draws follow their law.
    """
    scheme = initializers.SCHEMES[name]
    for n_in, n_out in _FANS:
      law = scheme.law(n_in, n_out)
      unit = _unit(law.family)(keys.root(0), (n_in, n_out))
      np.testing.assert_allclose(
        scheme.make()(keys.root(0), (n_in, n_out)),
        math.sqrt(law.variance) * np.asarray(unit, float),
        rtol=2**-21,
      )

  @parameterized.parameters(*_WITH_GAIN)
  def test_gain_multiplies_the_weights(self, name: str):
    w = _draws('wide', gain=0.3)[name][0]
    testing.check_draws(w, _law(name, _KERNELS['wide'], gain=0.3))

  @parameterized.parameters(
    name for name in initializers.SCHEMES if _in_few(name, 'tall')
  )
  def test_low_precision_is_neither_coarse_nor_biased(self, name: str):
    _check_low_precision(name, _draws('tall', few=True)[name])

  @parameterized.parameters(
    name for name in initializers.SCHEMES if not _in_few(name, 'tall')
  )
  @pytest.mark.slow
  def test_low_precision_of_every_scheme(self, name: str):
    _check_low_precision(name, _draws('tall')[name])

  @parameterized.parameters(*_WAYS)
  def test_casts_last(self, name: str):
    for dtype in _DTYPES:
      w = _draw(name, dtype=dtype)
      chex.assert_type(w, dtype)
      chex.assert_trees_all_equal(w, _draw(name).astype(dtype))

  @pytest.mark.slow
  def test_compiled_and_vmapped_draws_are_the_same_bits(self):
    # All schemes in one program, from one raw key each, so that the compiler
    # may share and reorder what it likes.
    draw = lambda key: {
      name: scheme.make()(key, (33, 17))
      for name, scheme in initializers.SCHEMES.items()
    }
    many = jnp.stack([jax.random.PRNGKey(seed) for seed in range(3)])
    alone = [draw(key) for key in many]
    chex.assert_trees_all_equal(jax.jit(draw)(many[1]), alone[1])
    chex.assert_trees_all_equal(
      jax.jit(jax.vmap(draw))(many),
      jax.tree.map(lambda *w: jnp.stack(w), *alone),
    )

  @parameterized.parameters(*_WAYS)
  def test_raw_and_typed_keys_agree(self, name: str):
    initializer = initializers.SCHEMES[name].make()
    raw = initializer(jax.random.PRNGKey(5), (6, 4), jnp.float32)
    typed = initializer(jax.random.key(5), (6, 4), jnp.float32)
    chex.assert_trees_all_equal(raw, typed)

  @parameterized.parameters(*initializers.SCHEMES)
  def test_has_no_entries_where_the_shape_has_none(self, name: str):
    for shape in ((0, 4), (4, 0), (0, 0)):
      for dtype in (jnp.float32, jnp.bfloat16):
        w = _draw(name, shape, dtype)
        chex.assert_shape(w, shape)
        chex.assert_type(w, dtype)

  @parameterized.parameters(*_WAYS)
  @pytest.mark.slow
  def test_the_smallest_kernels_are_finite(self, name: str):
    for shape in ((1, 1), (1, 3)):
      w = _draw(name, shape)
      chex.assert_shape(w, shape)
      chex.assert_tree_all_finite(w)

  @parameterized.product(
    name=tuple(initializers.SCHEMES),
    dtype=(jnp.complex64, jnp.int32, jnp.bool_),
  )
  def test_refuses_what_is_not_a_real_float(self, name: str, dtype: Any):
    with pytest.raises(base.UserError, match='real floats'):
      _draw(name, dtype=dtype)

  @parameterized.parameters(*initializers.SCHEMES)
  def test_refuses_bad_shapes(self, name: str):
    with pytest.raises(base.UserError, match='negative'):
      _draw(name, (4, -1))
    with pytest.raises(base.UserError, match='integers'):
      _draw(name, (4, 2.5))

  @parameterized.parameters(*_WAYS)
  @pytest.mark.slow
  def test_draws_in_float64_where_that_is_enabled(self, name: str):
    with jax.enable_x64(True):
      w = _draw(name, dtype=jnp.float64)
      chex.assert_type(w, jnp.float64)
      if name in _RANDOM:
        assert (w != w.astype(jnp.float32).astype(jnp.float64)).mean() > 0.4

  @parameterized.parameters(*initializers.SCHEMES)
  def test_knobs_are_those_of_the_factory_with_the_same_defaults(self, name):
    scheme = initializers.SCHEMES[name]
    parameters = inspect.signature(scheme.make).parameters
    assert set(scheme.knobs) <= set(parameters)
    defaults = {knob: parameters[knob].default for knob in scheme.knobs}
    assert scheme.law(20, 30) == scheme.law(20, 30, **defaults)
    with pytest.raises(TypeError):
      scheme.make(no_such_knob=1)
    with pytest.raises(TypeError):
      scheme.law(20, 30, no_such_knob=1)

  @parameterized.parameters(
    *((name, knob) for name in _RANDOM
      for knob in initializers.SCHEMES[name].knobs)
  )  # fmt: skip
  def test_refuses_bad_knobs(self, name: str, knob: str):
    make = initializers.SCHEMES[name].make
    for bad in (math.nan, math.inf, 1e39, 'large', [1.0]):
      with pytest.raises(base.UserError, match=knob):
        make(**{knob: bad})
    if knob != 'slope':
      with pytest.raises(base.UserError, match=knob):
        make(**{knob: -1})

  @parameterized.parameters(*(name for name in _WAYS if name in _WITH_GAIN))
  @pytest.mark.slow
  def test_gain_may_be_traced(self, name: str):
    make = initializers.SCHEMES[name].make
    draw = jax.jit(lambda gain: make(gain)(keys.root(0), (6, 4)))
    for gain in (0.0, 0.7, 3.0):
      chex.assert_trees_all_equal(draw(gain), make(gain)(keys.root(0), (6, 4)))
    slope = jax.grad(lambda gain: jnp.sum(make(gain)(keys.root(0), (6, 4))))
    chex.assert_trees_all_close(
      slope(2.0), jnp.sum(make(1.0)(keys.root(0), (6, 4))), rtol=1e-5
    )

  @parameterized.parameters(*kernels.DISTRIBUTIONS)
  def test_a_slope_may_not_be_traced(self, distribution: str):
    make = initializers.SCHEMES[f'prelu_{distribution}'].make
    with pytest.raises(base.UserError, match='slope'):
      jax.jit(lambda slope: make(slope)(keys.root(0), (6, 4)))(0.25)

  @parameterized.parameters(
    name
    for name, scheme in initializers.SCHEMES.items()
    if _takes_axes(scheme.make)
  )
  def test_rank_above_two_needs_axes(self, name: str):
    make = initializers.SCHEMES[name].make
    for axes in ({}, {'in_axis': 1}, {'out_axis': 2}, {'batch_axis': 0}):
      with pytest.raises(base.UserError, match='in_axis=0, out_axis='):
        make(**axes)(keys.root(0), (4, 5, 6))
    for shape in ((), (3,)):
      with pytest.raises(base.UserError, match='rank'):
        make()(keys.root(0), shape)


class KernelsTest(parameterized.TestCase):
  @parameterized.parameters(*_KERNELS)
  def test_fans(self, kernel: str):
    case = _KERNELS[kernel]
    assert kernels.fans(case.shape, **case.axes) == (case.n_in, case.n_out)

  @parameterized.parameters(
    ({'in_axis': 3, 'out_axis': 1}, 'out of range'),
    ({'in_axis': -4, 'out_axis': 1}, 'out of range'),
    ({'in_axis': 0, 'out_axis': 0}, 'overlaps'),
    ({'in_axis': 0, 'out_axis': -3}, 'overlaps'),
    ({'in_axis': (0, 0), 'out_axis': 1}, 'overlaps'),
    ({'in_axis': 0, 'out_axis': 1, 'batch_axis': (1,)}, 'overlaps'),
  )
  def test_refuses_bad_axes(self, axes: kernels.Axes, message: str):
    with pytest.raises(base.UserError, match=message):
      kernels.fans((4, 5, 6), **axes)

  def test_modes(self):
    case = _KERNELS['convolution']
    fans = {
      'fan_in': 36,
      'fan_out': 180,
      'fan_avg': 108,
      'fan_geo_avg': math.sqrt(36 * 180),
    }
    draws = testing.sample_all(
      {
        f'{mode} {distribution}': initializers.variance_scaling(
          1.5, mode, distribution, **case.axes
        )
        for mode in fans
        for distribution in kernels.DISTRIBUTIONS
      },
      case.shape,
      2**16,
    )
    for name, (w,) in draws.items():
      mode, distribution = name.split()
      testing.check_draws(w, base.Law(distribution, 1.5**2 / fans[mode]))

  @parameterized.product(
    mode=('fan_in', 'fan_out', 'fan_avg', 'fan_geo_avg'),
    distribution=tuple(kernels.DISTRIBUTIONS),
  )
  def test_modes_are_exact(self, mode: str, distribution: str):
    """As `test_scale_is_exact`, where means and integer roots differ."""
    for n_in, n_out in _FANS:
      fan = {
        'fan_in': n_in,
        'fan_out': n_out,
        'fan_avg': (n_in + n_out) / 2,
        'fan_geo_avg': math.exp((math.log(n_in) + math.log(n_out)) / 2),
      }[mode]
      shape = n_in, n_out
      w = initializers.variance_scaling(1.5, mode, distribution)(
        keys.root(0), shape
      )
      unit = _unit(distribution)(keys.root(0), shape)
      np.testing.assert_allclose(
        w, 1.5 / math.sqrt(fan) * np.asarray(unit, float), rtol=2**-21
      )

  def test_refuses_unknown_modes_and_distributions(self):
    with pytest.raises(base.UserError, match='fan_geo_avg'):
      initializers.variance_scaling(1.0, 'fan_on')
    with pytest.raises(base.UserError, match='truncated_normal'):
      initializers.variance_scaling(1.0, 'fan_in', 'gaussian')

  def test_resolve(self):
    assert initializers.resolve('he') == initializers.SCHEMES['he']
    for family in ('glorot', 'lecun', 'he', 'prelu'):
      for distribution in kernels.DISTRIBUTIONS:
        scheme = initializers.resolve(family, distribution)
        assert scheme == initializers.SCHEMES[f'{family}_{distribution}']
        assert scheme.law(4, 6).family == distribution
    with pytest.raises(base.UserError, match="did you mean 'glorot'"):
      initializers.resolve('glorott')
    with pytest.raises(base.UserError, match='glorot, lecun, he, prelu'):
      initializers.resolve('orthogonal', 'normal')
    with pytest.raises(base.UserError, match='unknown distribution'):
      initializers.resolve('glorot', 'gaussian')

  def test_jax_functions_take_them(self):
    # A module that follows JAX's protocol, as Flax and Equinox do.
    initializer: jax.nn.initializers.Initializer = initializers.he_normal()
    w = initializer(jax.random.key(0), (8, 4), jnp.bfloat16)
    chex.assert_type(w, jnp.bfloat16)
    chex.assert_type(initializer(jax.random.key(0), (8, 4)), jnp.float32)
    chex.assert_type(initializer(jax.random.key(0), [8, 4], float), jnp.float32)


class StructureTest(parameterized.TestCase):
  @parameterized.parameters(8, 96)
  def test_rescaled_orthogonal_keeps_the_mean_square(self, n_out: int):
    initializer = initializers.orthogonal_rescaled()
    shape = (24, n_out)
    (w,) = testing.sample_all({'': initializer}, shape, 2**17)['']
    x = np.linspace(-1, 2, 24)
    ratio = np.mean(np.square(x @ w), 1) / np.mean(np.square(x))
    if n_out < 24:
      # |xQ|^2 / |x|^2 is Beta(n_out / 2, (24 - n_out) / 2).
      std = scipy.stats.beta.std(n_out / 2, (24 - n_out) / 2) * 24 / n_out
      assert abs(np.mean(ratio) - 1) < testing.Z * std / math.sqrt(len(w))
    else:
      # Orthonormal rows keep the length of every x, draw by draw.
      np.testing.assert_allclose(ratio, 1, rtol=1e-5)

  def test_orthogonal_convolution_is_orthogonal_as_a_matrix(self):
    w = initializers.orthogonal(2.0, in_axis=1, out_axis=0)(
      keys.root(0), (10, 3, 2, 2)
    )
    m = w.transpose(2, 3, 1, 0).reshape(12, 10)
    chex.assert_trees_all_close(m.T @ m, 4 * jnp.eye(10), atol=4e-5)

  def test_delta_orthogonal_keeps_the_norm_of_an_image(self):
    for size in (3, 4):
      kernel = initializers.delta_orthogonal(1.5)(
        keys.root(0), (size, size, 4, 6)
      )
      image = jax.random.normal(keys.root(1), (1, 7, 7, 4))
      out = jax.lax.conv_general_dilated(
        image,
        kernel,
        (1, 1),
        'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      )
      chex.assert_trees_all_close(
        jnp.sum(jnp.square(out), -1),
        1.5**2 * jnp.sum(jnp.square(image), -1),
        rtol=1e-5,
      )

  def test_delta_orthogonal_refuses_what_cannot_be(self):
    initializer = initializers.delta_orthogonal()
    with pytest.raises(base.UserError, match='narrow'):
      initializer(keys.root(0), (3, 3, 6, 4))
    with pytest.raises(base.UserError, match='rank'):
      initializer(keys.root(0), (4, 6))
    chex.assert_shape(initializer(keys.root(0), (3, 3, 0, 4)), (3, 3, 0, 4))

  def test_sparse_has_that_many_inputs_a_unit(self):
    w = _draw('sparse', (33, 17))
    chex.assert_trees_all_equal(jnp.count_nonzero(w, axis=0), jnp.full(17, 15))
    assert len({column.tobytes() for column in np.asarray(w != 0).T}) == 17
    dense = _draw('sparse', (1, 3))
    assert jnp.all(dense != 0)

  def test_sparse_refuses_a_fraction_of_a_weight(self):
    for bad in (1.5, -1):
      with pytest.raises(base.UserError, match='nonzeros'):
        initializers.sparse(bad)

  @pytest.mark.slow
  def test_looks_linear_is_linear_under_relu(self):
    """Three layers that widen: the length of x is kept, and f(-x) = -f(x).

    Each layer rounds to a few units of 2^-24.
    """
    layer = initializers.looks_linear
    shapes = ((5, 12), (12, 16), (16, 9))  # V of 5 x 6, 6 x 8 and 8 x 9
    layers = [
      layer(sides=sides)(keys.root(seed), shape)
      for seed, (sides, shape) in enumerate(
        zip(('out', 'both', 'in'), shapes, strict=True)
      )
    ]

    def network(x: base.Array) -> base.Array:
      for w in layers[:-1]:
        x = jax.nn.relu(x @ w)
      return x @ layers[-1]

    jacobian = jax.jacobian(network)(jnp.linspace(-1.0, 1.0, 5))
    x = jax.random.normal(keys.root(9), (3, 5))
    chex.assert_trees_all_close(network(x), x @ jacobian.T, atol=1e-5)
    chex.assert_trees_all_close(jacobian.T @ jacobian, jnp.eye(5), atol=1e-5)

  @parameterized.parameters((5, 7), (4, 3), (1, 1))
  def test_looks_linear_of_odd_sizes_is_cut(self, n_in: int, n_out: int):
    w = np.asarray(initializers.looks_linear()(keys.root(0), (n_in, n_out)))
    a, b = (n_in + 1) // 2, (n_out + 1) // 2
    np.testing.assert_array_equal(w[:a, b:], -w[:a, : n_out - b])
    np.testing.assert_array_equal(w[a:], -w[: n_in - a])

  def test_looks_linear_has_three_sides(self):
    with pytest.raises(base.UserError, match="sides 'left'"):
      initializers.looks_linear(sides='left')

  @parameterized.parameters((4, 4), (8, 4), (4, 10))
  def test_near_identity_takes_inputs_over(self, n_in: int, n_out: int):
    """The examples of the paper's figure 18: D of 4 x 4, 8 x 4 and 4 x 8."""
    w = np.asarray(
      initializers.near_identity(1e-9)(keys.root(0), (n_in, n_out))
    )
    expected = np.zeros((n_in, n_out))
    for j in range(n_out):
      expected[j % n_in, j] = 1
    np.testing.assert_allclose(w, expected, atol=1e-8)

  def test_near_identity_keeps_the_signal_of_deep_tanh_networks(self):
    """1,000 layers of 32 units: no activation saturates, some are left.

    Of six seeds activations end with a deviation of 0.05 to 0.09, where those
    of Glorot's network are below 1e-5.
    """
    layers = jnp.arange(1000, dtype=jnp.uint32)

    def run(initializer: base.Initializer) -> base.Array:
      key = keys.root(0)
      step = lambda x, layer: (
        jnp.tanh(x @ initializer(keys.at(key, layer), (32, 32))),
        None,
      )
      x, _ = jax.lax.scan(step, jnp.linspace(-1.0, 1.0, 32), layers)
      return x

    deep = run(initializers.near_identity())
    assert 0.03 < float(jnp.std(deep)) < 0.2
    assert float(jnp.max(jnp.abs(deep))) < 0.5
    assert float(jnp.std(run(initializers.glorot_normal()))) < 1e-3

  @parameterized.parameters((4, 4), (9, 4))
  def test_zero_is_a_partial_identity_where_it_does_not_widen(self, *shape):
    w = initializers.zero()(keys.root(0), shape)
    chex.assert_trees_all_equal(w, jnp.eye(*shape))

  @parameterized.parameters((4, 8), (4, 5), (1, 2))
  def test_zero_widens_by_hadamard(self, n_in: int, n_out: int):
    w = np.asarray(initializers.zero()(keys.root(0), (n_in, n_out)))
    size = 2 ** math.ceil(math.log2(n_out))
    hadamard = np.ones((1, 1))
    while len(hadamard) < size:
      hadamard = np.kron(np.array([[1, 1], [1, -1]]), hadamard)
    np.testing.assert_allclose(
      w, hadamard[:n_in, :n_out] / math.sqrt(size), rtol=2**-23
    )
    if n_out == size:  # the norm of every input is kept
      np.testing.assert_allclose(w @ w.T, np.eye(n_in), atol=1e-6)

  def test_zero_breaks_the_rank_of_the_partial_identity(self):
    # Gradient steps on 2-16-16-2: started from partial identities, the square
    # matrix moves within the two dimensions of the input.
    x = jax.random.normal(keys.root(0), (32, 2))
    y = jax.random.normal(keys.root(1), (32, 2))

    def loss(params: list[base.Array]) -> base.Array:
      hidden = jax.nn.relu(jax.nn.relu(x @ params[0]) @ params[1])
      return jnp.mean(jnp.square(hidden @ params[2] - y))

    step = jax.jit(
      lambda params: jax.tree.map(
        lambda w, gradient: w - 0.1 * gradient, params, jax.grad(loss)(params)
      )
    )

    def rank(initializer: base.Initializer) -> int:
      params = [
        initializer(keys.root(0), shape)
        for shape in ((2, 16), (16, 16), (16, 2))
      ]
      for _ in range(5):
        params = step(params)
      return int(np.linalg.matrix_rank(np.asarray(params[1]) - np.eye(16)))

    assert rank(initializers.identity()) <= 2
    assert rank(initializers.zero()) > 2

  def test_identity_and_zero_are_matrices(self):
    for make in (initializers.identity, initializers.zero):
      with pytest.raises(base.UserError, match='rank 2'):
        make()(keys.root(0), (3, 3, 4, 4))

  def test_glorot_is_bounded_by_equation_16(self):
    bound = math.sqrt(6 / (400 + 25))
    w = initializers.glorot_uniform()(keys.root(0), (400, 25))
    # The largest of n uniform draws is within 23 / n of 1 but for e^-11.
    assert bound * (1 - 23 / w.size) < float(jnp.max(w)) < bound
    assert -bound <= float(jnp.min(w)) < -bound * (1 - 23 / w.size)
    np.testing.assert_array_equal(
      w, initializers.ng_epsilon()(keys.root(0), (400, 25))
    )

  def test_axes_are_checked_where_an_epsilon_makes_them_needless(self):
    draw = initializers.ng_epsilon(0.1, in_axis=1, out_axis=0)
    np.testing.assert_array_equal(
      draw(keys.root(0), (4, 3)),
      initializers.uniform(0.1)(keys.root(0), (4, 3)),
    )
    with pytest.raises(base.UserError, match='out_axis=7 is out of range'):
      initializers.ng_epsilon(0.1, out_axis=7)(keys.root(0), (4, 3))


class TheoryTest(parameterized.TestCase):
  def test_truncated_std(self):
    assert (
      pytest.approx(scipy.stats.truncnorm.std(-2, 2), rel=1e-12)
      == kernels.TRUNCATED_STD
    )

  def test_sussillo_and_abbott(self):
    # g = sqrt(n_in Var[w]) as computed from the paper's formula: n = 100, 1000.
    walk = initializers.SCHEMES['random_walk'].law
    assert math.sqrt(100 * walk(100, 100).variance) == pytest.approx(
      1.431709, abs=1e-6
    )
    assert math.sqrt(1000 * walk(1000, 9).variance) == pytest.approx(
      1.415916, abs=1e-6
    )
    # Up to 6 inputs the exponent is 1.2 / 3.6: exp(1/3) = 1.395612.
    for n_in in (1, 6):
      g = math.sqrt(n_in * walk(n_in, 9).variance)
      assert g == pytest.approx(math.sqrt(2) * 1.395612, abs=2e-6)
    linear = initializers.SCHEMES['random_walk_linear'].law
    assert math.sqrt(100 * linear(100, 9).variance) == pytest.approx(
      math.exp(1 / 200)
    )

  def test_exact_walk_of_sussillo_and_abbott(self):
    # By summation over the binomial distribution, elsewhere.
    law = initializers.SCHEMES['random_walk_exact'].law
    for n, g in ((100, 1.432304), (1000, 1.415985)):
      assert math.sqrt(n * law(n, 9).variance) == pytest.approx(g, abs=6e-7)

  @parameterized.parameters('critical', 'critical_orthogonal')
  def test_critical_laws_and_their_biases(self, name: str):
    """sw2 and sb2 of tanh at q = 0.5, by Gauss-Hermite quadrature."""
    scheme = initializers.resolve(f'{name}:q=0.5')
    assert 40 * scheme.law(40, 30).variance == pytest.approx(1.687975, abs=6e-7)
    assert scheme.bias_variance(40, 30) == pytest.approx(0.0380412, abs=6e-8)
    assert scheme.knobs == ('activation',)
    testing.check_initializer(
      lambda key, shape, dtype: scheme.bias()(key, (40, *shape), dtype),
      base.Law('normal', 0.0380412),
      (1024,),
      draws=2**16,
    )
    relu = initializers.resolve(f'{name}:activation=relu:q=2')
    assert 40 * relu.law(40, 30).variance == pytest.approx(2)
    assert relu.bias_variance(40, 30) == pytest.approx(0, abs=1e-9)
    with pytest.raises(base.UserError, match='no critical weights with q'):
      initializers.resolve(f'{name}:activation=softplus')
    by_function = scheme.make(activation=jnp.tanh)
    chex.assert_shape(by_function(keys.root(0), (4, 3)), (4, 3))

  @pytest.mark.slow
  def test_random_walk_has_no_drift_in_linear_networks(self):
    # ln |xW|^2 / |x|^2 has mean psi(n/2) + ln(2 g^2 / n), near 0, and variance
    # psi_1(n/2). Without g the mean would be 1/n lower, which N layers show.
    n, layers = 8, 2048
    initializer = initializers.random_walk_linear()
    (w,) = testing.sample_all({'': initializer}, (n, n), layers * n * n)['']
    x = np.full(n, n**-0.5)
    steps = np.log(np.sum(np.square(x @ w), 1))
    drift = scipy.special.digamma(n / 2) + math.log(2 / n) + 1 / n
    error = math.sqrt(scipy.special.polygamma(1, n / 2) / layers)
    assert abs(np.mean(steps) - drift) < testing.Z * error < 1 / n
    assert abs(drift) < 0.006

  def test_selu_has_its_fixed_point_at_its_variance(self):
    # q = n_in Var[w] E[f(sqrt(q) z)^2] at q = 1, and the mean stays 0.
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    f = lambda z: scale * (z if z > 0 else alpha * math.expm1(z))
    moment = lambda power: sum(
      scipy.integrate.quad(
        lambda z: f(z) ** power * scipy.stats.norm.pdf(z), *interval
      )[0]
      for interval in ((-12, 0), (0, 12))
    )
    q = 50 * initializers.SCHEMES['selu'].law(50, 20).variance
    assert q == 1.0
    assert moment(1) == pytest.approx(0, abs=1e-9)
    assert q * moment(2) == pytest.approx(1, abs=1e-9)

  @parameterized.parameters(
    ('flax', 1.0), ('haiku', 0.774), ('torch', 1 / 3), ('equinox', 1 / 3),
    ('keras', 4 / 3), ('standard', 1 / 3), ('glorot', 4 / 3), ('he', 2.0),
    ('prelu', 2 / (1 + 0.25**2)),
  )  # fmt: skip
  def test_variance_times_fan_in(self, name: str, expected: float):
    law = initializers.SCHEMES[name].law(1024, 512)
    assert 1024 * law.variance == pytest.approx(expected, abs=5e-4)

  @parameterized.parameters(*initializers.SCHEMES)
  def test_biases(self, name: str):
    scheme = initializers.SCHEMES[name]
    if name.startswith('critical'):
      return
    if name not in ('torch', 'equinox'):
      assert scheme.bias is None
      assert scheme.bias_variance(40, 1024) == 0
      return
    bias = scheme.bias()
    chex.assert_shape(bias(keys.root(0), (0, 3)), (3,))
    # U[-1/sqrt(n_in), 1/sqrt(n_in)), of both `torch.nn.Linear` and
    # `equinox.nn.Linear`.
    for n_in in (3, 40):
      assert scheme.bias_variance(n_in, 1024) == pytest.approx(1 / (3 * n_in))
      testing.check_initializer(
        lambda key, shape, dtype, n_in=n_in: bias(key, (n_in, *shape), dtype),
        base.Law('uniform', 1 / (3 * n_in)),
        (1024,),
        draws=2**16,
      )


def _network(key: base.Key) -> tuple[base.Array, ...]:
  initializer = initializers.orthogonal()
  return tuple(
    initializer(keys.at(key, layer), (12, 12)) for layer in range(20)
  )


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize('devices', [1, 2])
def test_orthogonal_never_hangs(devices: int):
  """64 seeds of 20 layers: what deadlocks in jaxlib 0.10.0 to 0.11.0."""
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ('seeds',))
  spec = jax.sharding.PartitionSpec('seeds')
  init = lambda seed: _network(keys.at(keys.root(0), seed))
  many = jax.jit(
    jax.shard_map(jax.vmap(init), mesh=mesh, in_specs=spec, out_specs=spec)
  )
  seeds = jnp.arange(64, dtype=jnp.uint32)
  for _ in range(20):
    networks = jax.block_until_ready(many(seeds))
  chex.assert_trees_all_equal(jax.tree.map(lambda w: w[7], networks), init(7))
