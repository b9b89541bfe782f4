"""What a setting takes: its programs, its lanes and their memory.

A `task` is one of `study`.
"""

from collections.abc import Callable
import math
from typing import Any

import jax

from initlab import keys
from initlab.engine import lanes, parallel
from initlab.experiment import Experiment, recorded_steps


def arithmetic(experiment: Experiment) -> Any:
  """Context manager that enables float64 for an experiment of that dtype."""
  return jax.enable_x64(experiment.dtype == 'float64')


def auto_lanes(experiment: Experiment, backend: str) -> Callable[[Any], int]:
  """`config -> lanes` by the size of `config.draw`; 1 for a Config without it.

  And 1 on a CPU for a model that convolves: many kernels at once make a grouped
  convolution there, which takes longer than one after the other.
  """

  # Settings that differ only in traced numbers are traced once. The function is
  # made anew here: JAX would reuse the trace of the method after an edit of
  # what it calls.
  def draw(config, key):
    return config.draw(key)

  def of_setting(config: Any) -> int:
    if not hasattr(config, 'draw'):
      return 1
    if backend == 'cpu' and getattr(config, 'convolves', False):
      return 1
    with arithmetic(experiment):
      drawn = jax.eval_shape(draw, parallel.traced(config), keys.root(0))
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(drawn))
    return lanes.auto_lanes(backend, size)

  return of_setting


def lanes_of(task: Any) -> int:
  """The vmap width of a task."""
  return task.folder.identity['bits']['lanes']


def memory(
  experiment: Experiment, task: Any, root_seed: int, limit: int
) -> int:
  """Peak bytes per device of a full call, at most.

  An upper bound, without compiling, if that is within the limit; otherwise what
  the compiler reports. 0 for an experiment that is not compiled.

  Args:
    experiment: the program.
    task: the setting.
    root_seed: of the study.
    limit: bytes of a device.
  """
  with arithmetic(experiment):
    traced = [each for _, each in programs(experiment, task, root_seed)]
    bound = max(map(lanes.memory_bound, traced), default=0)
    return max(map(lanes.memory, traced)) if bound > limit else bound


def too_large(task: Any, needed: int, limit: int) -> str:
  """The error of a task whose lanes take more bytes than a device has."""
  what = f'{lanes_of(task)} lanes take'
  remedy = 'fewer lanes, or --lanes=auto, which lowers them to fit'
  if lanes_of(task) == 1:
    what = 'a single lane takes'
    remedy = 'a smaller network, fewer examples or a smaller minibatch'
  return (
    f'{task.label}: {what} {lanes.scaled(needed, "B")} of memory on each '
    f'device, which has {lanes.scaled(limit, "B")}; choose {remedy}'
  )


def programs(
  experiment: Experiment, task: Any, root_seed: int
) -> list[tuple[int, Any]]:
  """The traced programs of a full call of a setting, with their call counts.

  Empty for an experiment that is not compiled.
  """
  if not experiment.compiled:
    return []
  root_key = keys.root(root_seed)
  if isinstance(task.runner, parallel.Engine):
    return parallel.engine_programs(
      task.runner, task.config, root_key, task.data
    )
  return parallel.trainer_programs(
    task.runner,
    task.config,
    root_key,
    task.data,
    recorded_steps(experiment, task.config),
  )
