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
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import base, keys

P = jax.sharding.PartitionSpec

# Parameters that all lanes of a device may hold together, and the most lanes.
_LANE_BUDGET = {'cpu': (2**15, 512)}
_ACCELERATOR_BUDGET = (2**28, 1024)

_SEEDS_PER_CALL = 8


class Engine(NamedTuple):
  """One compiled setting.

  call: `(root_key, seeds [size], data) -> result`, fields `[size, ...]`.
  size: how many seeds a call takes: a multiple of devices x lanes.
  """

  call: Callable[[base.Key, np.ndarray, Any], Any]
  size: int


def auto_lanes(backend: str, parameters: int) -> int:
  """How many seeds one device advances at once, by backend and network.

  The largest power of two with which all lanes together hold no more than 2^15
  parameters on a CPU (at most 512 lanes), or 2^28 on other backends (at most
  1024). So on a CPU every network of over 2^14 parameters gets one lane: its
  products fill a core, and there vmap only costs cache.

  Args:
    backend: 'cpu', 'gpu' or 'tpu'.
    parameters: of one network.

  Returns:
    A power of two.

  Examples:
    >>> auto_lanes('cpu', 5_038_009), auto_lanes('gpu', 5_038_009)
    (1, 32)
  """
  budget, most = _LANE_BUDGET.get(backend, _ACCELERATOR_BUDGET)
  fitting = max(1, budget // max(parameters, 1))
  return min(most, 2 ** (fitting.bit_length() - 1))


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

  def on_device(root_key, seeds, data):
    one = lambda seed: run(keys.at(root_key, seed), data)
    return jax.lax.map(one, seeds, batch_size=lanes if lanes > 1 else None)

  spread = jax.shard_map(
    on_device,
    mesh=mesh,
    in_specs=(P(), P('seeds'), P()),
    out_specs=P('seeds'),
    check_vma=False,
  )
  return Engine(jax.jit(spread), size)


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
    yield chunk, jax.tree.map(lambda x, n=count: np.asarray(x)[:n], result)
