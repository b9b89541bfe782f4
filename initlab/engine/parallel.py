"""Settings x seeds, over lanes and devices.

A run is written for one seed. Here the seeds of one setting are spread over
the devices (a mesh axis `seeds`, by `shard_map`), and on each device go one
group of `lanes` after the other (`vmap` within `lax.map`). A CPU wants one
device a core and few lanes, a GPU many lanes.

Seeds share nothing, so neither the number of devices nor a seed's neighbours
enter its result. The number of lanes may, by rounding: `lanes` is recorded with
every result, and is never chosen by a timing.
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
# About how long a call of a training takes; it decides no bits.
_SECONDS_PER_CALL = 0.5


class Engine(NamedTuple):
  """One compiled setting.

  call: `(root_key, seeds [size], data) -> result`, fields `[size, ...]`.
  size: how many seeds a call takes: a multiple of devices x lanes.
  """

  call: Callable[[base.Key, np.ndarray, Any], Any]
  size: int


class Trainer(NamedTuple):
  """Compiled settings that differ in nothing but traced numbers.

  start: `(root_key, numbers, data, seeds [size]) -> state`.
  advance: `(root_key, numbers, data, first, last, seeds, state) -> state`; the
    state it is given is gone.
  record: `(data, state) -> result`.
  size: how many seeds there are in all: devices x lanes.
  mesh: the devices.
  """

  start: jax.stages.Wrapped
  advance: jax.stages.Wrapped
  record: jax.stages.Wrapped
  size: int
  mesh: jax.sharding.Mesh


class Begun(NamedTuple):
  """Seeds in training, all at the same step.

  seeds: `[n]` uint32.
  step: how many steps they have taken.
  state: arrays `[n or more, ...]`; what is beyond n is padding.
  records: one result a recorded step so far, NumPy arrays `[n, ...]`.
  """

  seeds: np.ndarray
  step: int
  state: Any
  records: tuple[Any, ...]


def engine(
  run: Callable[[base.Key, Any], Any],
  *,
  lanes: int,
  devices: Sequence[Any],
) -> Engine:
  """Turns a run of one seed into a run of many.

  Args:
    run: `(key, data) -> result`, pure, a pytree of arrays.
    lanes: seeds that one device advances at once; 1 is the exact mode, in which
      nothing is vmapped.
    devices: to spread the seeds over.

  Returns:
    An Engine; its first call compiles.
  """
  mesh = jax.sharding.Mesh(np.array(devices), ('seeds',))
  group = len(devices) * lanes
  size = group * max(1, _SEEDS_PER_CALL // group)

  one_seed = of_seed(run)

  def on_device(root_key, seeds, data):
    one = lambda seed: one_seed(root_key, seed, data)
    return jax.lax.map(one, seeds, batch_size=lanes if lanes > 1 else None)

  spread = jax.shard_map(
    on_device,
    mesh=mesh,
    in_specs=(P(), P('seeds'), P()),
    out_specs=P('seeds'),
    check_vma=False,
  )
  return Engine(jax.jit(spread), size)


def of_seed(run: Callable[[base.Key, Any], Any]) -> Callable[..., Any]:
  """`(root_key, seed, data) -> result` of a run."""

  def of_one(root_key, seed, data):
    return run(keys.at(root_key, seed), data)

  return of_one


def uncompiled(run: Callable[[base.Key, Any], Any]) -> Engine:
  """Calls a run that is not JAX code for one seed after the other.

  Args:
    run: `(key, data) -> result`, a pytree of arrays.
  """

  def call(root_key: base.Key, seeds: np.ndarray, data: Any) -> Any:
    result = run(keys.at(root_key, seeds[0]), data)
    return jax.tree.map(lambda x: np.asarray(x)[None], result)

  return Engine(call, 1)


def results(
  engine: Engine, root_key: base.Key, seeds: np.ndarray, data: Any
) -> Iterator[tuple[np.ndarray, Any]]:
  """Runs the seeds, `engine.size` a call, and yields what is finished.

  Args:
    engine: of one setting.
    root_key: of the study.
    seeds: `[S]` uint32, in any order.
    data: what `run` takes.

  Yields:
    Seeds `[n]` and their result, NumPy arrays `[n, ...]`. The last call is
    padded with its last seed, and the padding cut off.
  """
  for first in range(0, len(seeds), engine.size):
    chunk = seeds[first : first + engine.size]
    count = len(chunk)
    padded = np.pad(chunk, (0, engine.size - count), mode='edge')
    result = engine.call(root_key, padded, data)
    yield chunk, jax.tree.map(lambda x, n=count: _stored(x)[:n], result)


def pieces_of_seed(
  training: Training, program: Any
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
  """`start`, `advance` and `record` of a Trainer, of one seed.

  Args:
    training: the pieces.
    program: the config without its numbers.
  """

  def start(root_key, numbers, data, seed):
    return training.start(program, numbers, keys.at(root_key, seed), data)

  def advance(root_key, numbers, data, first, last, seed, state):
    key = keys.at(root_key, seed)
    return training.advance(program, numbers, key, data, state, first, last)

  def record(data, state):
    return training.record(program, data, state)

  return start, advance, record


def trainer(
  training: Training,
  program: Any,
  *,
  lanes: int,
  devices: Sequence[Any],
) -> Trainer:
  """Turns a training of one seed into one of many.

  Every device has one group of lanes, whatever their number, so that all run
  the same program.

  Args:
    training: the pieces.
    program: the config without its numbers.
    lanes: seeds that one device advances at once; at 1 nothing is vmapped.
    devices: to spread the seeds over.

  Returns:
    A Trainer; its first calls compile.
  """
  mesh = jax.sharding.Mesh(np.array(devices), ('seeds',))

  start, advance, record = pieces_of_seed(training, program)

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
    record=spread(record, 1, 1),
    size=len(devices) * lanes,
    mesh=mesh,
  )


def engine_programs(
  engine: Engine, root_key: base.Key, data: Any
) -> list[tuple[int, Any]]:
  """The programs that run a full call, with how often each does, traced.

  Args:
    engine: a compiled one.
    root_key: of any study.
    data: what `run` takes.
  """
  call: Any = engine.call
  seeds = np.zeros(engine.size, np.uint32)
  return [(1, call.trace(root_key, seeds, data))]


def trainer_programs(
  trainer: Trainer,
  root_key: base.Key,
  numbers: dict[str, float],
  data: Any,
  steps: Sequence[int],
) -> list[tuple[int, Any]]:
  """The same of a training; `advance` is traced for one step a call.

  Args:
    trainer: of the setting.
    root_key: of any study.
    numbers: of the setting.
    data: as loaded.
    steps: `[T]` the recorded steps.
  """
  values, seeds = traced(numbers), np.zeros(trainer.size, np.uint32)
  data = _placed(trainer, jax.eval_shape(lambda x: x, data), P())
  state = state_shapes(trainer, root_key, numbers, data)
  span = np.int32(0), np.int32(1)
  return [
    (1, trainer.start.trace(root_key, values, data, seeds)),
    (
      steps[-1],
      trainer.advance.trace(root_key, values, data, *span, seeds, state),
    ),
    (len(steps), trainer.record.trace(data, state)),
  ]


def state_shapes(
  trainer: Trainer, root_key: base.Key, numbers: dict[str, float], data: Any
) -> Any:
  """Shapes of a state of `trainer.size` seeds, as it lies on the devices."""
  seeds = np.zeros(trainer.size, np.uint32)
  state = jax.eval_shape(trainer.start, root_key, traced(numbers), data, seeds)
  return _placed(trainer, state, P('seeds'))


def _placed(trainer: Trainer, shapes: Any, spec: Any) -> Any:
  """Shapes of arrays that lie on the devices."""
  sharding = jax.sharding.NamedSharding(trainer.mesh, spec)
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes
  )


def traced(numbers: dict[str, float]) -> dict[str, np.floating]:
  """Numbers as a program takes them: of one type, whatever their value."""
  kind = jax.dtypes.canonicalize_dtype(float).type
  return {name: kind(value) for name, value in numbers.items()}


def to_devices(trainer: Trainer, data: Any) -> Any:
  """Copies data to every device, once for all calls."""
  return jax.device_put(data, jax.sharding.NamedSharding(trainer.mesh, P()))


def train(
  trainer: Trainer,
  root_key: base.Key,
  numbers: dict[str, float],
  data: Any,
  steps: Sequence[int],
  begun: Begun,
  clock: Callable[[], float],
) -> Iterator[Begun]:
  """Trains seeds from where they are to the last step, a piece a call.

  A piece ends at a recorded step, or earlier where it would take long: how a
  training is cut decides no bits.

  Args:
    trainer: of the setting.
    root_key: of the study.
    numbers: of the setting.
    data: what the training takes, from `to_devices`.
    steps: `[T]` the recorded steps.
    begun: at most `trainer.size` seeds; at step 0, without a state and without
      records, those that have not begun.
    clock: in seconds, from any start.

  Yields:
    What is begun, after each piece; its state is good until the next.
  """
  seeds, step, state, records = begun
  count = len(seeds)
  padded = np.pad(seeds, (0, trainer.size - count), mode='edge')
  values = traced(numbers)

  def record(state: Any) -> Any:
    result = trainer.record(data, state)
    return jax.tree.map(lambda x: _stored(x)[:count].copy(), result)

  def advance(state: Any, first: int, last: int) -> Any:
    span = np.int32(first), np.int32(last)
    args = root_key, values, data, *span, padded, state
    return jax.block_until_ready(trainer.advance(*args))

  if state is None:
    state = trainer.start(root_key, values, data, padded)
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
    yield Begun(seeds, step, state, records)


def stacked(records: Sequence[Any]) -> Any:
  """One result a recorded step, as one: `[n, T, ...]`."""
  return jax.tree.map(lambda *parts: np.stack(parts, axis=1), *records)


def _stored(x: Any) -> np.ndarray:
  """As it is kept: in float32, where it was computed in float64."""
  x = np.asarray(x)
  return x.astype(np.float32) if x.dtype == np.float64 else x


def _padded(trainer: Trainer, state: Any, count: int) -> Any:
  """The first rows of a state, repeated up to the size, on the devices."""
  rows = np.minimum(np.arange(trainer.size), count - 1)
  sharding = jax.sharding.NamedSharding(trainer.mesh, P('seeds'))
  return jax.device_put(
    jax.tree.map(lambda x: np.asarray(x)[rows], state), sharding
  )
