"""Runs the seeds of a setting over devices and vmap lanes.

A run is written for one seed. Here the seeds of one setting are split over the
devices (a mesh axis `seeds`, by `shard_map`); each device runs them in groups
of `lanes` (`vmap` inside `lax.map`). A CPU does best with one device per core
and few lanes, a GPU with many lanes.

Seeds are independent, so neither the number of devices nor the other seeds
affect a result. The vmap width does, by rounding: `lanes` is recorded with
every result and is never chosen by a timing.
"""

from collections.abc import Callable, Iterator, Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import base, keys
from initlab.experiment import Training

P = jax.sharding.PartitionSpec

_SEEDS_PER_CALL = 8
# Target duration of one call of a training; it does not affect results.
_SECONDS_PER_CALL = 0.5


class Engine(NamedTuple):
  """The compiled run of settings that differ only in traced knobs.

  call: `(config, root_key, seeds [size], data) -> result`, fields
    `[size, ...]`; the config is from `traced`.
  size: seeds per call, a multiple of devices x lanes.
  """

  call: Callable[[Any, base.Key, np.ndarray, Any], Any]
  size: int


class Trainer(NamedTuple):
  """The compiled training of settings that differ only in traced knobs.

  start: `(config, root_key, data, seeds [size]) -> state`; here and below, the
    config is from `traced`.
  advance: `(config, root_key, data, first, last, seeds, state) -> state`; the
    input state is donated.
  record: `(config, data, state) -> result`.
  size: seeds per call, devices x lanes.
  mesh: the devices.
  """

  start: jax.stages.Wrapped
  advance: jax.stages.Wrapped
  record: jax.stages.Wrapped
  size: int
  mesh: jax.sharding.Mesh


class InProgress(NamedTuple):
  """Seeds in training, all at the same step.

  seeds: `[n]` uint32.
  step: the number of steps taken.
  state: arrays `[n or more, ...]`; rows beyond n are padding.
  records: one result per recorded step so far, NumPy arrays `[n, ...]`.
  """

  seeds: np.ndarray
  step: int
  state: Any
  records: tuple[Any, ...]


def engine(
  run: Callable[[Any, base.Key, Any], Any],
  *,
  lanes: int,
  devices: Sequence[Any],
) -> Engine:
  """Turns a run of one seed into a run of many.

  Args:
    run: `(config, key, data) -> result`, pure, a pytree of arrays.
    lanes: the vmap width; 1 is the bitwise-reproducible mode without vmap.
    devices: to split the seeds over.

  Returns:
    An Engine; its first call compiles.
  """
  mesh = jax.sharding.Mesh(np.array(devices), ('seeds',))
  group = len(devices) * lanes
  size = group * max(1, _SEEDS_PER_CALL // group)

  one_seed = of_seed(run)

  def on_device(config, root_key, seeds, data):
    one = lambda seed: one_seed(config, root_key, seed, data)
    return jax.lax.map(one, seeds, batch_size=lanes if lanes > 1 else None)

  spread = jax.shard_map(
    on_device,
    mesh=mesh,
    in_specs=(P(), P(), P('seeds'), P()),
    out_specs=P('seeds'),
    check_vma=False,
  )
  return Engine(jax.jit(spread), size)


def of_seed(run: Callable[[Any, base.Key, Any], Any]) -> Callable[..., Any]:
  """A run with its key derived: `(config, root_key, seed, data) -> result`."""

  def of_one(config, root_key, seed, data):
    return run(config, keys.at(root_key, seed), data)

  return of_one


def uncompiled(run: Callable[[Any, base.Key, Any], Any]) -> Engine:
  """Runs code that JAX cannot compile, seed by seed.

  Args:
    run: `(config, key, data) -> result`, a pytree of arrays.
  """

  def call(
    config: Any, root_key: base.Key, seeds: np.ndarray, data: Any
  ) -> Any:
    result = run(config, keys.at(root_key, seeds[0]), data)
    return jax.tree.map(lambda x: np.asarray(x)[None], result)

  return Engine(call, 1)


def results(
  engine: Engine, config: Any, root_key: base.Key, seeds: np.ndarray, data: Any
) -> Iterator[tuple[np.ndarray, Any]]:
  """Runs the seeds, `engine.size` per call, and yields finished results.

  Args:
    engine: of the setting.
    config: the setting, from `traced` where it is compiled.
    root_key: of the study.
    seeds: `[S]` uint32, in any order.
    data: what `run` takes.

  Yields:
    Seeds `[n]` and their result, NumPy arrays `[n, ...]`. The last call is
    padded with its last seed; the padding is dropped.
  """
  for first in range(0, len(seeds), engine.size):
    chunk = seeds[first : first + engine.size]
    count = len(chunk)
    padded = np.pad(chunk, (0, engine.size - count), mode='edge')
    result = engine.call(config, root_key, padded, data)
    yield chunk, jax.tree.map(lambda x, n=count: _stored(x)[:n], result)


def pieces_of_seed(
  training: Training,
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
  """`start`, `advance` and `record` of a Trainer, for one seed."""

  def start(config, root_key, data, seed):
    return training.start(config, keys.at(root_key, seed), data)

  def advance(config, root_key, data, first, last, seed, state):
    key = keys.at(root_key, seed)
    return training.advance(config, key, data, state, first, last)

  # Of its own, as the two above: JAX would reuse the trace of `training.record`
  # after an edit of what it calls.
  def record(config, data, state):
    return training.record(config, data, state)

  return start, advance, record


def trainer(
  training: Training,
  *,
  lanes: int,
  devices: Sequence[Any],
) -> Trainer:
  """Turns a training of one seed into one of many.

  Every device has exactly one group of lanes, so all run the same program.

  Args:
    training: of the experiment.
    lanes: the vmap width; 1 runs without vmap.
    devices: to split the seeds over.

  Returns:
    A Trainer; its first calls compile.
  """
  mesh = jax.sharding.Mesh(np.array(devices), ('seeds',))

  start, advance, record = pieces_of_seed(training)

  def spread(one: Callable[..., Any], shared: int, own: int, **jit: Any) -> Any:
    def on_device(*args):
      bound = functools.partial(one, *args[:shared])
      if lanes > 1:
        return jax.vmap(bound)(*args[shared:])
      alone = jax.tree.map(lambda x: x[0], args[shared:])
      return jax.tree.map(lambda x: x[None], bound(*alone))

    mapped = jax.shard_map(
      on_device,
      mesh=mesh,
      in_specs=(P(),) * shared + (P('seeds'),) * own,
      out_specs=P('seeds'),
      check_vma=False,
    )
    return jax.jit(mapped, **jit)

  return Trainer(
    start=spread(start, 3, 1),
    advance=spread(advance, 5, 2, donate_argnums=6),
    record=spread(record, 2, 1),
    size=len(devices) * lanes,
    mesh=mesh,
  )


def engine_programs(
  engine: Engine, config: Any, root_key: base.Key, data: Any
) -> list[tuple[int, Any]]:
  """The traced programs of a full call, each with its number of calls.

  Args:
    engine: a compiled one.
    config: the setting.
    root_key: of any study.
    data: what `run` takes.
  """
  call: Any = engine.call
  seeds = np.zeros(engine.size, np.uint32)
  return [(1, call.trace(traced(config), root_key, seeds, data))]


def trainer_programs(
  trainer: Trainer,
  config: Any,
  root_key: base.Key,
  data: Any,
  steps: Sequence[int],
) -> list[tuple[int, Any]]:
  """The same for a training; `advance` is traced for one step per call.

  Args:
    trainer: of the setting.
    config: the setting.
    root_key: of any study.
    data: as loaded.
    steps: `[T]` the recorded steps.
  """
  values, seeds = traced(config), np.zeros(trainer.size, np.uint32)
  data = _placed(trainer, jax.eval_shape(lambda x: x, data), P())
  state = state_shapes(trainer, config, root_key, data)
  span = np.int32(0), np.int32(1)
  return [
    (1, trainer.start.trace(values, root_key, data, seeds)),
    (
      steps[-1],
      trainer.advance.trace(values, root_key, data, *span, seeds, state),
    ),
    (len(steps), trainer.record.trace(values, data, state)),
  ]


def state_shapes(
  trainer: Trainer, config: Any, root_key: base.Key, data: Any
) -> Any:
  """Shapes and shardings of a state of `trainer.size` seeds."""
  seeds = np.zeros(trainer.size, np.uint32)
  state = jax.eval_shape(trainer.start, traced(config), root_key, data, seeds)
  return _placed(trainer, state, P('seeds'))


def _placed(trainer: Trainer, shapes: Any, spec: Any) -> Any:
  """The shapes with their shardings."""
  sharding = jax.sharding.NamedSharding(trainer.mesh, spec)
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes
  )


def traced(config: Any) -> Any:
  """The config with its traced numbers as arrays of one dtype."""
  kind = jax.dtypes.canonicalize_dtype(float).type
  return jax.tree.map(kind, config)


def to_devices(trainer: Trainer, data: Any) -> Any:
  """Copies data to every device."""
  return jax.device_put(data, jax.sharding.NamedSharding(trainer.mesh, P()))


def train(
  trainer: Trainer,
  config: Any,
  root_key: base.Key,
  data: Any,
  steps: Sequence[int],
  current: InProgress,
  clock: Callable[[], float],
) -> Iterator[InProgress]:
  """Trains seeds from their current step to the last.

  Runs in chunks of about 0.5 s that end at recorded steps or earlier. Chunking
  does not change results.

  Args:
    trainer: of the setting.
    config: the setting.
    root_key: of the study.
    data: what the training takes, from `to_devices`.
    steps: `[T]` the recorded steps.
    current: at most `trainer.size` seeds; new ones are at step 0, with neither
      state nor records.
    clock: monotonic seconds.

  Yields:
    The seeds after each chunk; their state is valid until the next one.
  """
  seeds, step, state, records = current
  count = len(seeds)
  padded = np.pad(seeds, (0, trainer.size - count), mode='edge')
  values = traced(config)

  def record(state: Any) -> Any:
    result = trainer.record(values, data, state)
    return jax.tree.map(lambda x: _stored(x)[:count].copy(), result)

  def advance(state: Any, first: int, last: int) -> Any:
    span = np.int32(first), np.int32(last)
    args = values, root_key, data, *span, padded, state
    return jax.block_until_ready(trainer.advance(*args))

  if state is None:
    state = trainer.start(values, root_key, data, padded)
    records = (record(state),)
  else:
    state = _padded(trainer, state, count)
  state = advance(state, step, step)  # compiles, and takes no step
  length = 1
  while step < steps[-1]:
    last = min(step + length, next(each for each in steps if each > step))
    begin = clock()
    state = advance(state, step, last)
    seconds = clock() - begin
    if last - step == length and seconds < _SECONDS_PER_CALL:
      length *= 2
    elif seconds > 2 * _SECONDS_PER_CALL:
      length = max(1, length // 2)
    step = last
    if step in steps:
      records = (*records, record(state))
    yield InProgress(seeds, step, state, records)


def stacked(records: Sequence[Any]) -> Any:
  """Stacks the results of all recorded steps: `[n, T, ...]`."""
  return jax.tree.map(lambda *parts: np.stack(parts, axis=1), *records)


def _stored(x: Any) -> np.ndarray:
  """The array as it is stored: float64 becomes float32."""
  x = np.asarray(x)
  return x.astype(np.float32) if x.dtype == np.float64 else x


def _padded(trainer: Trainer, state: Any, count: int) -> Any:
  """A state padded to `trainer.size` rows with its last one, on the devices."""
  rows = np.minimum(np.arange(trainer.size), count - 1)
  sharding = jax.sharding.NamedSharding(trainer.mesh, P('seeds'))
  return jax.device_put(
    jax.tree.map(lambda x: np.asarray(x)[rows], state), sharding
  )
