"""Operations are counted, and lanes are as many as there is memory for."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import keys, launch, mlp
from initlab.engine import lanes as lane_rules, parallel, sizing, study
from initlab.experiment import config, knob
from initlab.instruments import learning, variance
from tests.helpers import sorting


def _main(tmp_path, *argv):
  """Exit status; by its number of parameters a device gets 32 lanes."""
  places = f'--out={tmp_path / "results"}', '--compile_cache=none'
  with pytest.raises(SystemExit) as exit_:
    launch.main(sorting.SORTING, ['sorting', '--seeds=0:3', *places, *argv])
  return exit_.value.code


def _name(experiment):
  return experiment.name


def _programs(experiment, lanes):
  """The programs of an experiment's smoke setting, traced."""
  smoke, devices = experiment.smoke, tuple(jax.local_devices())
  program = study._compiled(
    experiment.run, experiment.training, '', lanes, devices
  )
  task = study.Task(smoke, '', experiment.load(smoke, ''), None, program)
  return [traced for _, traced in sizing.programs(experiment, task, 0)]


def _needed(lanes):
  (traced,) = _programs(sorting.SORTING, lanes)
  return lane_rules.memory(traced)


@pytest.fixture
def limited(monkeypatch):
  """Gives every device so many bytes."""
  return lambda limit: monkeypatch.setattr(
    lane_rules, 'device_memory', lambda device: limit
  )


@pytest.mark.parametrize(
  'fitting', [16, pytest.param(1, marks=pytest.mark.slow)]
)
def test_lanes_are_lowered_to_what_fits(tmp_path, capsys, limited, fitting):
  limit = _needed(fitting)
  assert fitting * 1000 * 4 < limit < _needed(2 * fitting)
  limited(limit)
  assert _main(tmp_path, '--dry_run') == 0
  plan = ' '.join(capsys.readouterr().out.split())
  assert f' size 1000 0 3 {fitting} ' in plan
  assert f'of {lane_rules.scaled(limit, "B")} in all' in plan
  assert _main(tmp_path, '--verbose') == 0
  found = capsys.readouterr().out
  assert re.search(f'^lanes +{fitting}$', found, re.MULTILINE)


@pytest.mark.parametrize(
  ('lanes', 'told', 'remedy'),
  [
    ('4', '4 lanes take', '--lanes=auto'),
    ('1', 'a single lane takes', 'a smaller network'),
    ('auto', 'a single lane takes', 'a smaller network'),
  ],
)
def test_what_does_not_fit_is_refused_with_the_figures(
  tmp_path, capsys, limited, lanes, told, remedy
):
  needed = _needed(4 if lanes == '4' else 1)
  limited(needed - 1)
  assert _main(tmp_path, f'--lanes={lanes}') == 1
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  figures = lane_rules.scaled(needed, 'B'), lane_rules.scaled(needed - 1, 'B')
  for word in ('size 1000', told, *figures, remedy):
    assert word in error
  assert not list(tmp_path.iterdir())


def test_what_is_surely_small_is_not_compiled_to_see_that(
  tmp_path, monkeypatch
):
  def refuse(traced):
    raise AssertionError('compiled')

  monkeypatch.setattr(lane_rules, 'memory', refuse)
  assert _main(tmp_path, '--dry_run') == 0
  assert _main(tmp_path) == 0


def test_what_is_stored_needs_no_memory(tmp_path, capsys, limited):
  assert _main(tmp_path) == 0
  limited(1)
  assert _main(tmp_path) == 0
  assert _main(tmp_path, '--seeds=0:4') == 1
  assert 'a single lane takes' in capsys.readouterr().err


@pytest.mark.parametrize(
  'experiment',
  [
    sorting.SORTING,
    pytest.param(learning.EXPERIMENT, marks=pytest.mark.slow),
    pytest.param(variance.EXPERIMENT, marks=pytest.mark.slow),
  ],
  ids=_name,
)
def test_the_bound_is_one(experiment):
  for traced in _programs(experiment, lanes=2):
    needed, bound = lane_rules.memory(traced), lane_rules.memory_bound(traced)
    assert 0 < needed <= bound


def test_what_was_compiled_to_learn_its_memory_is_what_runs():
  engine = parallel.engine(
    lambda config, key, data: jnp.sin(data) * jax.random.normal(key),
    lanes=2,
    devices=jax.local_devices(),
  )
  root, data = keys.root(0), jnp.ones(5)
  ((_, traced),) = parallel.engine_programs(engine, None, root, data)
  assert lane_rules.memory(traced) > 0
  compiled = []
  jax.monitoring.register_event_duration_secs_listener(
    lambda event, *args, **kwargs: compiled.append(event)
  )
  list(
    parallel.results(engine, None, root, np.arange(4, dtype=np.uint32), data)
  )
  jax.monitoring.clear_event_listeners()
  assert not [event for event in compiled if 'backend_compile' in event]


def test_settings_of_a_program_share_it_however_many_others_are_between():
  runners = [
    study._compiled(
      sorting.run, None, str(program), 1, tuple(jax.local_devices())
    )
    for program in (*range(64), *range(64))
  ]
  assert runners[:64] == runners[64:]
  assert len(set(map(id, runners))) == 64


def test_every_cpu_device_has_its_share():
  device, *others = jax.local_devices()
  share = lane_rules.device_memory(device)
  with open('/proc/meminfo') as file:
    total = int(file.readline().split()[1]) * 1024
  assert share * (1 + len(others)) == pytest.approx(total, abs=2)


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
  count = lane_rules.work(spread.trace(jnp.ones((2, 5, 5))))
  assert count == 2 * (7 + 1) * (2 * 3 * 5 * 5)


def test_products_of_a_network():
  """Two of its three layers are of one shape: a loop in the program."""
  layers = mlp.init(
    jax.random.key(0), (4, 4, 4, 2), jax.nn.initializers.normal()
  )
  forward = jax.jit(lambda x: mlp.apply(layers, x, jnp.tanh))
  count = lane_rules.work(forward.trace(jnp.ones((3, 4))))
  assert count == 2 * 3 * (16 + 16 + 8)


def test_settings_that_differ_in_traced_numbers_are_drawn_once():
  drawn = []

  @config
  class Scaled:
    size: int = knob(64, 'how many numbers are drawn')
    scale: float = knob(1.0, 'multiplies them', traced=True)

    def draw(self, key):
      drawn.append(self.size)
      return self.scale * jax.random.normal(key, (self.size,))

  lanes = sizing.auto_lanes(sorting.SORTING._replace(config=Scaled), 'cpu')
  settings = [Scaled(n, scale) for n in (64, 128) for scale in (1.0, 2.0)]
  assert list(map(lanes, settings)) == [512, 512, 256, 256]
  assert drawn == [64, 128]
