"""Sweeps of anybody's function: the same bits however they are computed."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from initlab import base, keys
from initlab.engine import store, sweep

pytestmark = pytest.mark.bits


def _run(key):
  """A pytree of several shapes and types."""
  x = jax.random.normal(keys.stream(key, 'x'), (2, 3))
  count = jax.random.randint(keys.stream(key, 'n'), (), 0, 100)
  return {'x': x, 'sums': [jnp.sum(x), jnp.sum(x, axis=0)], 'count': count}


def _alone(seed, root_seed=0):
  return jax.jit(_run)(keys.at(keys.root(root_seed), seed))


def _assert_equal(found, seeds):
  assert found.seeds.tolist() == list(seeds)
  for row, seed in enumerate(seeds):
    for leaf, alone in zip(
      jax.tree.leaves(found.results), jax.tree.leaves(_alone(seed)), strict=True
    ):
      assert leaf.dtype == alone.dtype
      np.testing.assert_array_equal(leaf[row], alone)


@pytest.mark.parametrize('stored', [False, True])
def test_every_seed_is_that_of_its_key_alone(tmp_path, stored):
  seeds = [0, 3, 4, 2**32 - 1]
  out = tmp_path / 'mine' if stored else None
  found = sweep.sweep(_run, seeds=seeds[::-1], out=out, lanes=1)
  assert found.results.keys() == {'x', 'sums', 'count'}
  assert found.name == '_run'
  _assert_equal(found, seeds)


def test_what_is_stored_is_not_computed_again(tmp_path, monkeypatch):
  out = tmp_path / 'mine'
  written = []
  write = store.write
  monkeypatch.setattr(
    store,
    'write',
    lambda folder, seeds, result: (
      written.append(seeds.tolist()),
      write(folder, seeds, result),
    ),
  )
  sweep.sweep(_run, seeds=range(3), out=out, lanes=1)
  found = sweep.sweep(_run, seeds=range(5), out=out, lanes=1)
  assert sorted(itertools.chain(*written)) == [0, 1, 2, 3, 4]
  _assert_equal(found, range(5))
  rows = pd.read_parquet(out)
  np.testing.assert_array_equal(rows['count'], found.results['count'])
  np.testing.assert_array_equal(
    np.stack(rows['x']), found.results['x'].reshape(5, 6)
  )


def test_a_changed_run_starts_anew(tmp_path):
  data = np.random.default_rng(0).standard_normal(100).astype(np.float32)

  def make(array):
    return lambda key: jnp.sum(array * jax.random.normal(key, array.shape))

  first = sweep.sweep(make(data), seeds=range(2), out=tmp_path / 'mine')
  other = data.copy()
  other[50] += 1
  with pytest.warns(UserWarning, match='an earlier program'):
    second = sweep.sweep(make(other), seeds=range(2), out=tmp_path / 'mine')
  assert not np.any(first.results == second.results)
  with pytest.warns(UserWarning, match='an earlier program'):
    again = sweep.sweep(make(data), seeds=range(2), out=tmp_path / 'mine')
  np.testing.assert_array_equal(again.results, first.results)


def test_names_share_a_folder(tmp_path):
  out = tmp_path / 'mine'
  for name, scale in (('one', 1.0), ('two', 2.0)):
    run = lambda key, scale=scale: scale * jax.random.normal(key)
    sweep.sweep(run, seeds=range(2), out=out, name=name)
  rows = pd.read_parquet(out).pivot(
    index='seed', columns='name', values='result'
  )
  np.testing.assert_array_equal(rows['two'], 2 * rows['one'])


def test_workers_share_the_seeds(tmp_path):
  out = tmp_path / 'mine'
  run = lambda key: jax.random.normal(key, (2,))
  parts = [
    sweep.sweep(run, seeds=range(3), out=out, worker=(index, 4))
    for index in range(4)
  ]
  assert [part.seeds.tolist() for part in parts] == [[0], [1], [2], []]
  assert parts[3].results.shape == (0, 2)
  whole = sweep.sweep(run, seeds=range(3), out=out)
  for part in parts[:3]:
    np.testing.assert_array_equal(part.results, whole.results[part.seeds])


def test_any_name_can_be_a_column(tmp_path):
  run = lambda key: dict.fromkeys(('class', '_x', '0'), jax.random.uniform(key))
  found = sweep.sweep(run, seeds=[0], out=tmp_path / 'mine')
  assert found.results.keys() == {'class', '_x', '0'}
  rows = pd.read_parquet(tmp_path / 'mine')
  assert {'leaf_class', 'leaf__x', 'leaf_0'} <= set(rows.columns)


def test_the_frame_is_tidy():
  found = sweep.sweep(_run, seeds=[2, 5])
  frame = found.to_frame()
  assert len(frame) == 2 * (6 + 1 + 3 + 1)
  place = "leaf == 'x' and seed == 5 and axis_0 == 1 and axis_1 == 2"
  assert frame.query(place).value.item() == found.results['x'][1, 1, 2]
  scalar = frame[(frame.leaf == 'sums/0') & (frame.seed == 2)]
  assert scalar.axis_0.isna().all()
  assert scalar.value.item() == found.results['sums'][0][0]


def test_products_are_of_full_precision_unless_told():
  seen = []

  def run(key):
    product = jax.make_jaxpr(lambda x: x @ x)(np.ones((2, 2), np.float32))
    seen.append(str(product.eqns[0].params['precision']))
    return jax.random.normal(key)

  with jax.default_matmul_precision('bfloat16'):
    sweep.sweep(run, seeds=[0], lanes=1)
    assert 'HIGHEST' in seen[-1]
    sweep.sweep(run, seeds=[0], lanes=1, matmul_precision='high')
    assert 'HIGHEST' not in seen[-1] and 'HIGH' in seen[-1]


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'seeds': []}, 'at least one seed'),
    ({'seeds': [0.5]}, '0.5 is not an integer'),
    ({'seeds': [-1]}, '32 bits'),
    ({'seeds': [1], 'worker': (0, 2)}, 'give out'),
    ({'seeds': [1], 'worker': (2, 2), 'out': 'x'}, 'count from 0'),
  ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
  with pytest.raises(base.UserError, match=message):
    sweep.sweep(_run, **arguments)


def test_results_that_cannot_be_stored_are_refused():
  for run, message in (
    (lambda key: None, 'none is there'),
    (lambda key: key, 'not of numbers'),
    (
      lambda key: {'a/b': jnp.ones(()), 'a_b': jnp.ones(())},
      'names of columns',
    ),
  ):
    with pytest.raises(base.UserError, match=message):
      sweep.sweep(run, seeds=[0])
