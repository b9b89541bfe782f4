"""What windows of a convolution hold, against a convolution with ones."""

from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.models import geometry, program, values

_RNG = np.random.default_rng(0)
_DILATED = {'lhs_dilation': (2, 3), 'padding': ((1, 2), (0, -1))}
_PLAIN = {'window_strides': (1, 1), 'padding': 'SAME'}


@pytest.mark.parametrize(
  ('x', 'w', 'options', 'even'),
  [
    ((2, 4, 6, 5), (3, 4, 3, 3), _PLAIN, False),
    ((2, 4, 6, 5), (3, 4, 1, 1), _PLAIN, True),
    ((2, 4, 6, 6), (3, 4, 2, 3), {'window_strides': (2, 3)}, True),
    ((2, 4, 6, 5), (3, 4, 1, 1), {'window_strides': (2, 2)}, False),
    ((2, 4, 6, 5), (3, 4, 2, 3), {'rhs_dilation': (2, 1)}, False),
    ((2, 4, 6, 5), (3, 4, 3, 3), _DILATED, False),
    ((2, 4, 6, 5), (6, 2, 3, 3), {'feature_group_count': 2}, False),
    ((4, 2, 6, 5), (6, 2, 3, 3), {'batch_group_count': 2}, False),
  ],
)
@pytest.mark.parametrize(
  'operand', [0, pytest.param(1, marks=pytest.mark.slow)]
)
def test_windows_hold_what_a_convolution_with_ones_adds(
  x, w, options, even, operand
):
  """Sums of at most 240 numbers: float32 rounds them by 240 2^-24 at most."""
  options = {'window_strides': (1, 1), 'padding': 'VALID'} | options
  convolve = lambda x, w: lax.conv_general_dilated(x, w, **options)
  arrays = [jnp.float32(_RNG.standard_normal(shape)) for shape in (x, w)]
  found, _, _ = program.trace(convolve, *arrays)
  (operation,) = found.flat()
  windows = geometry.windows(operation, operand)
  arrays[1 - operand] = jnp.ones_like(arrays[1 - operand])
  square = jnp.square(arrays[operand])
  sums = convolve(*map(jnp.square, arrays))
  own = values.windowed(windows, arrays[operand])
  np.testing.assert_allclose(np.mean(np.square(own)), np.mean(sums), rtol=2e-5)
  if operand == 0:
    assert windows.even == even
    n_in = np.prod(w[1:])
    if even:
      np.testing.assert_allclose(n_in * np.mean(square), np.mean(sums), 2e-5)
