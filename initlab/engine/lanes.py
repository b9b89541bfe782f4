"""How many seeds a device advances at once, and the memory that they take.

The vmap width affects results bitwise, so it follows from the backend, the
shapes and the total memory of a device, never from a timing or from what is
free. Memory and operations are those of the traced or compiled program.
"""

from collections.abc import Iterator
import math
import os
from typing import Any

import jax
from jax.extend import core
import numpy as np

from initlab import base

# XLA may keep the arrays that a loop carries twice.
_COPIES = 2


def work(traced: Any) -> float:
  """Floating-point operations of a call's matrix products, on all devices.

  XLA's own count takes the body of every loop once, that over layers, too.

  Args:
    traced: from `jitted.trace(...)`.
  """
  return _products(traced.jaxpr.jaxpr)


def memory(traced: Any) -> int:
  """Bytes on each device during a call, by the compiler.

  A call of the same jitted function does not compile again.

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
  """Bytes that `memory` does not exceed: every array of the program at once.

  Args:
    traced: from `jitted.trace(...)`; it is not compiled.
  """
  jaxpr = traced.jaxpr.jaxpr
  return _COPIES * (_bytes(jaxpr.invars) + _results(jaxpr))


def device_memory(device: Any) -> int:
  """Bytes that the programs of one device may take: the same at every start.

  Of a GPU or TPU what its allocator is limited to; of a CPU device its share of
  the machine's memory. What is free at the moment does not enter.
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
  """Bytes of all that is computed; a loop's body has its arrays once."""
  return sum(
    _bytes(equation.outvars)
    + sum(map(_results, _bodies(equation.params.values())))
    for equation in jaxpr.eqns
  )


def _bytes(variables: Any) -> int:
  avals = [variable.aval for variable in variables]
  return sum(math.prod(aval.shape) * _width(aval.dtype) for aval in avals)


def _width(dtype: Any) -> int:
  """Bytes an entry; a key's are those of its words."""
  if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
    return 8
  return np.dtype(dtype).itemsize


def _bodies(values: Any) -> Iterator[core.Jaxpr]:
  """The programs among the parameters of an operation."""
  for value in values:
    if isinstance(value, core.Jaxpr):
      yield value
    elif isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, tuple | list):
      yield from _bodies(value)


def chosen_devices(count: int) -> list[Any]:
  """The first so many devices of this process, all of them for 0.

  Raises:
    UserError: there are not so many.
  """
  devices = jax.local_devices()
  if count > len(devices):
    raise base.UserError(
      f'--devices={count}: this machine has {len(devices)} '
      f'({devices[0].device_kind})'
    )
  return devices[: count or None]


# Parameters that all lanes of a device may hold together, and the most lanes.
_LANE_BUDGET = {'cpu': (2**15, 512)}
_ACCELERATOR_BUDGET = (2**28, 1024)


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
