"""The vmap width: how many seeds a device runs at once, and their memory.

The vmap width affects results bitwise, so it follows from the backend, the
shapes and the total memory of a device, never from a timing or from what is
free. Memory and operations are those of the traced or compiled program.
"""

from collections.abc import Iterator
import functools
import math
import os
from typing import Any

import jax
from jax.extend import core
import numpy as np

from initlab import base

# XLA may hold two copies of a loop's carry.
_COPIES = 2

# Most programs whose sizes are kept: settings that differ only in traced
# numbers share one.
_KEPT = 128


def work(traced: Any) -> float:
  """Floating-point operations of a call's matrix products, on all devices.

  XLA's own cost analysis counts the body of every loop only once.

  Args:
    traced: from `jitted.trace(...)`.
  """
  products, _ = _sizes(traced.jaxpr.jaxpr)
  return products


def memory(traced: Any) -> int:
  """Peak bytes per device during a call, as the compiler reports them.

  Compiles; a later call of the same jitted function does not compile again.

  Args:
    traced: from `jitted.trace(...)`.
  """
  sizes = traced.lower().compile().memory_analysis()
  return (
    sizes.argument_size_in_bytes
    + sizes.output_size_in_bytes
    + sizes.temp_size_in_bytes
    - sizes.alias_size_in_bytes
  )


def memory_bound(traced: Any) -> int:
  """Upper bound on `memory`: every array of the program at once.

  Args:
    traced: from `jitted.trace(...)`; it is not compiled.
  """
  jaxpr = traced.jaxpr.jaxpr
  _, results = _sizes(jaxpr)
  return _COPIES * (_bytes(jaxpr.invars) + results)


def device_memory(device: Any) -> int:
  """Total bytes of one device, the same at every start.

  The allocator's limit on a GPU or TPU; an equal share of the machine's memory
  on a CPU device. Free memory does not matter.
  """
  limit = (device.memory_stats() or {}).get('bytes_limit')
  if limit:
    return limit
  total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  return total // len(jax.local_devices(backend=device.platform))


def scaled(number: float, unit: str) -> str:
  """
  Examples:
    >>> scaled(1_398_920, 'B'), scaled(0, 'FLOP')
    ('1.4 MB', '0 FLOP')
  """
  power = max(0, min(6, int(math.log10(max(number, 1)) // 3)))
  return f'{number / 1000**power:.3g} {["", *"kMGTPE"][power]}{unit}'


@functools.lru_cache(maxsize=_KEPT)
def _sizes(jaxpr: Any) -> tuple[float, int]:
  """Operations of all matrix products, and bytes of all results."""
  return _products(jaxpr), _results(jaxpr)


def _products(jaxpr: Any) -> float:
  total = 0.0
  for equation in jaxpr.eqns:
    name, params = equation.primitive.name, equation.params
    inner = [_products(body) for body in _bodies(params.values())]
    if name == 'dot_general':
      (contracted, _), _ = params['dimension_numbers']
      left, product = equation.invars[0].aval, equation.outvars[0].aval
      length = math.prod(left.shape[axis] for axis in contracted)
      total += 2 * length * math.prod(product.shape)
    elif name == 'scan':
      total += params['length'] * sum(inner)
    elif name == 'shard_map':
      total += params['mesh'].size * sum(inner)
    elif name == 'cond':
      total += max(inner)
    else:
      total += sum(inner)
  return total


def _results(jaxpr: Any) -> int:
  """Bytes of all intermediate results; a loop's body counts once."""
  return sum(
    _bytes(equation.outvars)
    + sum(map(_results, _bodies(equation.params.values())))
    for equation in jaxpr.eqns
  )


def _bytes(variables: Any) -> int:
  avals = [variable.aval for variable in variables]
  return sum(math.prod(aval.shape) * _width(aval.dtype) for aval in avals)


def _width(dtype: Any) -> int:
  """Bytes per entry; for a key, those of its words."""
  if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
    return 8
  return np.dtype(dtype).itemsize


def _bodies(values: Any) -> Iterator[core.Jaxpr]:
  """The sub-jaxprs among the parameters of an operation."""
  for value in values:
    if isinstance(value, core.Jaxpr):
      yield value
    elif isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, tuple | list):
      yield from _bodies(value)


def chosen_devices(count: int) -> list[Any]:
  """The first `count` devices of this process; all of them for 0.

  Raises:
    UserError: there are fewer devices.
  """
  devices = jax.local_devices()
  if count > len(devices):
    raise base.UserError(
      f'--devices={count}: this machine has {len(devices)} '
      f'({devices[0].device_kind})'
    )
  return devices[: count or None]


# Backend -> most parameters over all lanes of a device, and most lanes.
_LANE_BUDGET = {'cpu': (2**15, 512)}
_ACCELERATOR_BUDGET = (2**28, 1024)


def auto_lanes(backend: str, parameters: int) -> int:
  """The default vmap width for a backend and a network size.

  The largest power of two for which all lanes together have at most 2^15
  parameters on a CPU (at most 512 lanes), or 2^28 on other backends (at most
  1024). On a CPU every network of over 2^14 parameters thus gets one lane: its
  matrix products keep a core busy, and vmap would only cost cache.

  Args:
    backend: 'cpu', 'gpu' or 'tpu'.
    parameters: the number of parameters of one network.

  Returns:
    A power of two.

  Examples:
    >>> auto_lanes('cpu', 5_038_009), auto_lanes('gpu', 5_038_009)
    (1, 32)
  """
  budget, most = _LANE_BUDGET.get(backend, _ACCELERATOR_BUDGET)
  fitting = max(1, budget // max(parameters, 1))
  return min(most, 2 ** (fitting.bit_length() - 1))
