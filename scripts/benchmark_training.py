"""Training many seeds: seed-steps a second, against the ways peers do it.

Same network (tanh, softmax cross-entropy), batch size and plain SGD for all;
examples lie in memory. One update of one seed is a seed-step.
"""

from collections.abc import Callable
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  base,
  datasets,
  initializers,
  keys,
  losses,
  minibatches,
  mlp,
  optimizers,
  training,
)
from initlab.engine import lanes as lane_rules, parallel
from initlab.experiment import Training, written

_RATE = 0.01
_EXAMPLES = 1024


class Network(NamedTuple):
  """One row of the table.

  widths: input, hidden layers, output.
  batch: examples a step.
  seeds: trained at once by those that train all at once.
  """

  widths: tuple[int, ...]
  batch: int
  seeds: int

  def __str__(self) -> str:
    return f'{written(self.widths)}, B={self.batch}, {self.seeds} seeds'


NETWORKS = (
  Network((64, *(100,) * 5, 10), 32, 64),
  Network((784, *(256,) * 5, 10), 32, 32),
  Network((1024, *(1000,) * 5, 9), 10, 8),
  Network((2, 3, 2), 4, 4096),
)


def arrays(network: Network) -> base.Batch:
  """Random inputs and labels."""
  random = np.random.default_rng(0)
  x = random.normal(size=(_EXAMPLES, network.widths[0])).astype(np.float32)
  y = random.integers(network.widths[-1], size=_EXAMPLES, dtype=np.int32)
  return base.Batch(x, y)


def pieces(draw: Any = None) -> Training:
  """A training as the engine takes it; its config is a Network."""
  objective = mlp.objective(jnp.tanh, losses.cross_entropy)
  optimizer = lambda numbers: optimizers.optimizer(
    'sgd', 'constant', numbers['learning_rate'], 1
  )

  def start(network, numbers, key, data):
    del data
    draw_weights = initializers.glorot_uniform()
    params = mlp.init(keys.stream(key, 'init'), network.widths, draw_weights)
    return training.start(params, optimizer(numbers))

  def advance(network, numbers, key, data, state, first, last):
    key = keys.stream(key, 'data')
    examples = minibatches.examples(key, draw, data, network.batch)
    return training.advance(
      objective, optimizer(numbers), examples, state, first, last, every=100
    )

  return Training(
    program=lambda network: network,
    numbers=lambda network: {'learning_rate': _RATE},
    steps=lambda network: (0, 100),
    start=start,
    advance=advance,
    record=lambda network, data, state: state.last_loss,
  )


def rate(steps: Callable[[int], Any], seeds: int, seconds: float) -> float:
  """Seed-steps a second of `steps(n)`, n chosen to take about so long."""
  steps(1)
  count = 1
  while True:
    start = time.perf_counter()
    steps(count)
    took = time.perf_counter() - start
    if took > seconds / 2:
      return seeds * count / took
    count = int(count * min(10, max(2, seconds / max(took, 1e-6))))


def initlab_steps(network: Network, draw: Any = None) -> tuple[Callable, int]:
  """The engine: one device a core, lanes by its own rule."""
  devices = jax.local_devices()
  parameters = sum(
    (a + 1) * b
    for a, b in zip(network.widths, network.widths[1:], strict=False)
  )
  lanes = lane_rules.auto_lanes(devices[0].platform, parameters)
  trainer = parallel.trainer(
    pieces(draw), network, lanes=lanes, devices=devices
  )
  numbers = parallel.traced({'learning_rate': _RATE})
  data = parallel.to_devices(trainer, arrays(network)) if draw is None else None
  seeds, root = np.arange(trainer.size, dtype=np.uint32), keys.root(0)
  held = [trainer.start(root, numbers, data, seeds)]

  def steps(count: int) -> None:
    span = np.int32(0), np.int32(count)
    state = trainer.advance(root, numbers, data, *span, seeds, held[0])
    held[0] = jax.block_until_ready(state)

  return steps, trainer.size


def vmap_steps(network: Network) -> tuple[Callable, int]:
  """The same program of one seed under plain `jit(vmap)`, on one device."""
  training_ = pieces()
  numbers = parallel.traced({'learning_rate': _RATE})
  data = jax.device_put(arrays(network), jax.local_devices()[0])
  at = lambda seed: keys.at(keys.root(0), seed)
  seeds = jnp.arange(network.seeds, dtype=jnp.uint32)
  start = jax.vmap(
    lambda seed: training_.start(network, numbers, at(seed), None)
  )

  @functools.partial(jax.jit, donate_argnums=0)
  def advance(state, last):
    one = lambda seed, state: training_.advance(
      network, numbers, at(seed), data, state, jnp.int32(0), last
    )
    return jax.vmap(one)(seeds, state)

  held = [jax.jit(start)(seeds)]

  def steps(count: int) -> None:
    held[0] = jax.block_until_ready(advance(held[0], jnp.int32(count)))

  return steps, network.seeds


def torch_steps(network: Network) -> tuple[Callable, int]:
  """A PyTorch loop, one seed after the other."""
  import torch

  layers = []
  for n_in, n_out in zip(network.widths, network.widths[1:], strict=False):
    layers += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
  model = torch.nn.Sequential(*layers[:-1])
  optimizer = torch.optim.SGD(model.parameters(), lr=_RATE)
  cost = torch.nn.CrossEntropyLoss()
  x, y = (torch.from_numpy(a) for a in arrays(network))
  y = y.long()

  def steps(count: int) -> None:
    for index in range(count):
      first = index * network.batch % (_EXAMPLES - network.batch)
      rows = slice(first, first + network.batch)
      optimizer.zero_grad(set_to_none=True)
      cost(model(x[rows]), y[rows]).backward()
      optimizer.step()

  return steps, 1


def torch_func_steps(network: Network) -> tuple[Callable, int]:
  """torch.func: vmap of grad over stacked seeds."""
  import torch

  x, y = (torch.from_numpy(a) for a in arrays(network))
  y = y.long()
  pairs = list(zip(network.widths, network.widths[1:], strict=False))
  held = [
    [
      (
        torch.randn(network.seeds, n_in, n_out) / n_in**0.5,
        torch.zeros(network.seeds, n_out),
      )
      for n_in, n_out in pairs
    ]
  ]

  def cost(params, x, y):
    for index, (w, b) in enumerate(params):
      x = x @ w + b
      x = torch.tanh(x) if index < len(params) - 1 else x
    return torch.nn.functional.cross_entropy(x, y)

  gradient = torch.func.vmap(torch.func.grad(cost), in_dims=(0, None, None))

  def steps(count: int) -> None:
    for index in range(count):
      first = index * network.batch % (_EXAMPLES - network.batch)
      rows = slice(first, first + network.batch)
      updates = gradient(held[0], x[rows], y[rows])
      held[0] = [
        (w - _RATE * dw, b - _RATE * db)
        for (w, b), (dw, db) in zip(held[0], updates, strict=True)
      ]

  return steps, network.seeds


def contestants(network: Network) -> dict[str, float]:
  """Seed-steps a second of everyone who is installed."""
  seconds = 4.0
  found = {'initlab': rate(*initlab_steps(network), seconds)}
  found['jit(vmap)'] = rate(*vmap_steps(network), seconds)
  try:
    import torch
  except ImportError:
    print('  (pip install -e .[bench] for the comparison with PyTorch)')
    return found
  threads = {}
  for count in (1, 2):
    torch.set_num_threads(count)
    threads[count] = rate(*torch_steps(network), seconds)
  best = max(threads, key=threads.__getitem__)
  found[f'PyTorch loop, best of 1 and 2 threads: {best}'] = threads[best]
  found['torch.func vmap'] = rate(*torch_func_steps(network), seconds)
  return found


def matmul_share(network: Network, seed_steps: float) -> float:
  """Of NumPy's own float32 rate, measured now, three products a weight."""
  a = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
  a @ a
  times = []
  for _ in range(5):
    start = time.perf_counter()
    a @ a
    times.append(time.perf_counter() - start)
  peak = 2 * 2048**3 / min(times)
  weights = sum(
    a * b for a, b in zip(network.widths, network.widths[1:], strict=False)
  )
  return seed_steps * 6 * network.batch * weights / peak


def shapeset_cost() -> float:
  """Time of training fed by the generator over that of training from memory."""
  network = NETWORKS[2]
  fed = rate(*initlab_steps(network, datasets.DATASETS['shapeset'].draw), 4.0)
  return rate(*initlab_steps(network), 4.0) / fed
