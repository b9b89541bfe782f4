"""Leaves: any scheme draws any leaf, in the layout of its kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, initializers, kernels, keys, testing
from initlab.models import leaves
from initlab.models.leaves import Leaf

# A stack of three convolutions that are applied as [in, out, field].
_AXES = {'in_axis': 1, 'out_axis': 3, 'batch_axis': 0}
_SHAPE = (3, 16, 5, 32)


@pytest.mark.parametrize(
  ('scheme', 'law'),
  [
    ('he', 'he_normal'),
    ('jax.nn.initializers.he_uniform', 'he_uniform'),
    *(
      pytest.param(*each, marks=pytest.mark.slow)
      for each in [
        ('glorot:gain=2', 'glorot_uniform:gain=2'),
        ('orthogonal', 'orthogonal'),
        ('normal:std=0.3', 'normal:std=0.3'),
        (jax.nn.initializers.glorot_uniform, 'glorot_uniform'),
        (
          jax.nn.initializers.variance_scaling(2, 'fan_in', 'uniform'),
          'he_uniform',
        ),
        (initializers.lecun_uniform, 'lecun_uniform'),
      ]
    ),
  ],
)
def test_a_scheme_draws_any_layout(scheme, law):
  initializer = leaves.initializer(scheme, _AXES)
  testing.check_initializer(initializer, law, _SHAPE, draws=2**15, **_AXES)


def test_swapped_axes_are_found_out():
  swapped = {**_AXES, 'in_axis': 3, 'out_axis': 1}
  initializer = leaves.initializer('he', swapped)
  with pytest.raises(AssertionError, match='variance'):
    testing.check_initializer(
      initializer, 'he_normal', _SHAPE, draws=2**15, **_AXES
    )


def test_a_scheme_without_axes_sees_field_in_out():
  initializer = leaves.initializer(initializers.delta_orthogonal, _AXES)
  w = initializer(keys.root(0), _SHAPE)
  for kernel in w:
    taps = np.moveaxis(np.asarray(kernel), 1, 0)
    np.testing.assert_array_equal(taps[[0, 1, 3, 4]], 0)
    # Orthogonality to the rounding of a QR decomposition in float32.
    np.testing.assert_allclose(taps[2] @ taps[2].T, np.eye(16), atol=1e-5)
  assert not np.array_equal(w[0], w[1])


def test_a_leaf_does_not_depend_on_what_draws_the_others():
  declared = {'a': Leaf((4, 4), 'he'), 'b': [Leaf((4,), 'normal')]}
  plain = leaves.draw(keys.root(3), declared)
  other = leaves.draw(keys.root(3), declared, {'a': 'orthogonal'})
  np.testing.assert_array_equal(plain['b'][0], other['b'][0])
  assert not np.array_equal(plain['a'], other['a'])


def test_the_last_pattern_counts():
  declared = {'x': {'w': Leaf((2, 2), 'he')}, 'y': {'w': Leaf((2, 2), 'he')}}
  drawn = leaves.draw(
    keys.root(0), declared, {'*': 'ones', 'y/*': 'zeros'}, jnp.bfloat16
  )
  assert drawn['x']['w'].dtype == jnp.bfloat16
  np.testing.assert_array_equal(drawn['x']['w'], 1)
  np.testing.assert_array_equal(drawn['y']['w'], 0)


def test_a_pattern_that_matches_nothing_is_refused():
  with pytest.raises(base.UserError, match=r"'z/\*' matches no leaf.*x/w"):
    leaves.draw(keys.root(0), {'x': {'w': Leaf((2,), 'ones')}}, {'z/*': 'he'})


def test_axes_that_overlap_are_refused():
  axes = kernels.Axes(in_axis=0, out_axis=0)
  with pytest.raises(base.UserError, match='overlaps'):
    leaves.initializer('zeros', axes)(keys.root(0), (2, 2))
