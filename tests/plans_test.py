"""A plan says what would be done, and does nothing."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import learning
from initlab import launch, mlp, plans

_TINY = (
  '--dataset=xor',
  '--examples=4',
  '--test_size=4',
  '--batch_size=3',
  '--widths=6x2',
  '--lanes=2',
  '--compile_cache=none',
)


def _main(tmp_path, capsys, *argv):
  """What the program prints, in this process."""
  flags = [*_TINY, f'--out={tmp_path / "results"}', *argv]
  with pytest.raises(SystemExit) as exit_:
    launch.main(learning.EXPERIMENT, ['learning', *flags])
  printed = capsys.readouterr()
  assert exit_.value.code == 0, printed.err
  return printed.out


def test_a_plan_counts_what_is_missing_and_leaves_nothing(tmp_path, capsys):
  flags = '--seeds=0:20', '--bias=0,1', '--steps=9', '--num_shards=3'
  run = lambda *more: _main(tmp_path, capsys, *flags, *more)
  plan = run('--dry_run')
  for setting in 'bias 0.0', 'bias 1.0':
    assert re.search(f'^{setting} +0 +20 +2 +4 +5 ', plan, re.MULTILINE)
  assert re.search(r'^1 +14 +14$', plan, re.MULTILINE)
  assert '40 seeds are missing' in plan
  assert not list(tmp_path.iterdir())
  assert run('--shard_index=2').endswith('12 computed, 0 there before\n')
  files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
  plan = run('--dry_run')
  assert re.search(r'^bias 1.0 +6 +14 +2 +4 +4 ', plan, re.MULTILINE)
  assert re.search(r'^1 +14 +14\n2 +12 +0$', plan, re.MULTILINE)
  assert '28 seeds are missing' in plan
  assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}


def test_the_cost_of_a_training_is_that_of_its_steps(tmp_path, capsys):
  """Products of 2-6-6-2: 60 multiplications an example up, 108 more down.

  Down, every layer has the gradient of its weights, and all but the first that
  of its input: 60 + 48. At 2 operations, 3 examples a step and 1,000 steps that
  is 1.008 MFLOP; both records look at 4 examples, for under 1% of it.
  """
  flags = '--steps=1000', '--record_every=1000', '--seeds=0:4'
  plan = _main(tmp_path, capsys, *flags, '--dry_run')
  assert re.search(r'^glorot .* 1\.01 MFLOP$', plan, re.MULTILINE)
  assert not list(tmp_path.iterdir())


def test_products_are_counted_in_loops_branches_and_on_every_device():
  mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ('seeds',))
  spec = jax.sharding.PartitionSpec

  def on_device(w):
    turn = lambda z, _: (z @ w[0], None)
    z, _ = jax.lax.scan(turn, jnp.ones((3, 5)), length=7)
    return jax.lax.cond(z.sum() > 0, lambda: z @ w[0], lambda: z)[None]

  spread = jax.jit(
    jax.shard_map(
      on_device,
      mesh=mesh,
      in_specs=spec('seeds'),
      out_specs=spec('seeds'),
      check_vma=False,
    )
  )
  count = plans._work(spread.trace(jnp.ones((2, 5, 5))))
  assert count == 2 * (7 + 1) * (2 * 3 * 5 * 5)


def test_products_of_a_network():
  """Two of its three layers are of one shape: a loop in the program."""
  layers = mlp.init(
    jax.random.key(0), (4, 4, 4, 2), jax.nn.initializers.normal()
  )
  forward = jax.jit(lambda x: mlp.apply(layers, x, jnp.tanh))
  count = plans._work(forward.trace(jnp.ones((3, 4))))
  assert count == 2 * 3 * (16 + 16 + 8)
