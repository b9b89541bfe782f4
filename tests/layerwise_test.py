"""Layers of one shape in one loop: the same results in the same order."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from initlab import layerwise

_LAYERS = [
  np.sin(i + np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)
  for i, shape in enumerate([(2, 3), (3, 3), (4, 2), (3, 3), (3, 3)])
]


def test_each_is_the_function_of_each():
  found = layerwise.each(jnp.sin, _LAYERS)
  chex.assert_trees_all_equal(found, [jnp.sin(x) for x in _LAYERS])


def test_each_takes_trees_and_returns_trees():
  pairs = [(x, x.T) for x in _LAYERS]
  found = layerwise.each(lambda pair, x: {'sum': pair[0] + x}, pairs, _LAYERS)
  chex.assert_trees_all_equal(found, [{'sum': x + x} for x in _LAYERS])


def test_static_values_tell_layers_apart():
  powers = (1, 2, 1, 2, 3)
  found = layerwise.each(lambda p, x: x**p, _LAYERS, static=powers)
  expected = [x**p for p, x in zip(powers, _LAYERS, strict=True)]
  chex.assert_trees_all_close(found, expected, rtol=1e-6)


def test_the_program_does_not_grow_with_depth():
  def lines(depth):
    layers = [jnp.ones((3, 3))] * depth
    function = lambda layers: layerwise.each(jnp.linalg.svd, layers)
    return str(jax.make_jaxpr(function)(layers)).count('svd')

  assert lines(40) == lines(2)


def test_runs_are_neighbours_of_one_shape():
  runs = layerwise.runs(_LAYERS)
  assert runs == [slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 5)]
  assert layerwise.runs([]) == []
