"""What `scripts/bench` measures.

Every figure is the median of repeats that alternate between the contestants, so
that a noisy machine is noisy for both; the ratios are what carries over. Those
of an audit are the least of three times as many repeats.
"""

import argparse
from collections.abc import Callable, Mapping
import dataclasses
import functools
import itertools
import statistics
import time

import benchmark_audit
import benchmark_training
import jax
import jax.numpy as jnp
import numpy as np

from experiments.glorot2010 import __main__
from initlab import initializers, keys, mlp, networks, shapeset
from initlab.engine import lanes as lane_rules, parallel
from initlab.instruments import learning, variance
from initlab.launch import machine, parsing
from initlab.launch.flags import define_flags, read_settings


def measure(
  contestants: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, float]:
  """Median seconds of a call of each, after one call to compile."""
  seconds = {name: [] for name in contestants}
  for call in contestants.values():
    jax.block_until_ready(call())
  for _, (name, call) in itertools.product(range(repeats), contestants.items()):
    start = time.perf_counter()
    jax.block_until_ready(call())
    seconds[name].append(time.perf_counter() - start)
  return {name: statistics.median(each) for name, each in seconds.items()}


def report(title: str, unit: str, rates: Mapping[str, float]) -> None:
  """Prints rates, and how the first compares with each of the others."""
  print(f'\n{title}')
  first = next(iter(rates.values()))
  for name, rate in rates.items():
    print(f'  {name:40} {rate:12,.3g} {unit:12} x {first / rate:.2f}')


def bench_variance(repeats: int) -> None:
  """Seeds a second of the variance experiment, against plain ways to do it."""
  config = variance.Config()
  data = variance.load(config, '')
  root_key = keys.root(0)
  run = functools.partial(variance.run, config)
  devices = jax.local_devices()
  engine = parallel.engine(run, lanes=1, devices=devices)
  seeds = np.arange(engine.size, dtype=np.uint32)
  one = jax.jit(run)
  many = jax.jit(jax.vmap(run, in_axes=(0, None)))

  def swept():
    return list(parallel.results(engine, root_key, seeds, data))

  def loop():
    return [one(keys.at(root_key, int(seed)), data) for seed in seeds]

  def vmapped():
    at = jax.vmap(lambda seed: keys.at(root_key, seed))
    return many(at(jnp.asarray(seeds)), data)

  seconds = measure(
    {
      f'initlab, lanes=1, {len(devices)} devices': swept,
      'Python loop over jit(run)': loop,
      'jit(vmap(run))': vmapped,
    },
    repeats,
  )
  report(
    'variance: 1024-1000x5-9, 300 examples, all probes',
    'seeds/s',
    {name: len(seeds) / each for name, each in seconds.items()},
  )


def bench_draws(repeats: int) -> None:
  """Draws a second of each initializer, against its namesake in JAX."""
  shape = (1000, 1000)
  theirs = jax.nn.initializers
  twins = {
    'uniform': theirs.uniform(0.01),
    'normal': theirs.normal(0.01),
    'truncated_normal': theirs.truncated_normal(0.01),
    'lecun_uniform': theirs.lecun_uniform(),
    'lecun_normal': theirs.lecun_normal(),
    'glorot_uniform': theirs.glorot_uniform(),
    'glorot_normal': theirs.glorot_normal(),
    'he_uniform': theirs.he_uniform(),
    'he_normal': theirs.he_normal(),
    'orthogonal': theirs.orthogonal(),
  }
  print(f'\ninitializers: draws of {shape[0]}x{shape[1]} float32 a second')
  print(f'  {"scheme":26}{"initlab":>10}{"jax.nn":>10}   ratio')
  key = keys.root(0)
  for name, scheme in initializers.SCHEMES.items():
    draw = lambda make: functools.partial(
      jax.jit(lambda key: make(key, shape, jnp.float32)), key
    )
    contestants = {'initlab': draw(scheme.make())}
    if name in twins:
      contestants['jax'] = draw(twins[name])
    seconds = measure(contestants, repeats)
    line = f'  {name:26}{1 / seconds["initlab"]:10.3g}'
    if name in twins:
      line += f'{1 / seconds["jax"]:10.3g}'
      line += f'   x {seconds["jax"] / seconds["initlab"]:.2f}'
    print(line)


def bench_shapeset(repeats: int) -> None:
  """Images a second, alone and against the training step they feed."""
  rates = {}
  for size in (10, 320, 3200):
    draw = jax.jit(functools.partial(shapeset.draw, size=size))
    seconds = measure({'draw': functools.partial(draw, keys.root(0))}, repeats)
    rates[f'{size} at a time'] = size / seconds['draw']
  report('shapeset: images drawn on one device', 'images/s', rates)


def bench_forward(repeats: int) -> None:
  """The network's products, against NumPy's own."""
  params = mlp.init(
    keys.root(0), (1024, *(1000,) * 5, 9), initializers.glorot_uniform()
  )
  x = jax.random.normal(keys.root(1), (300, 1024))
  apply = jax.jit(lambda params, x: mlp.apply(params, x, jnp.tanh))
  arrays = [np.asarray(layer.w) for layer in params]
  z = np.asarray(x)

  def with_numpy():
    result = z
    for w in arrays:
      result = np.tanh(result @ w)
    return result

  seconds = measure(
    {'mlp.apply': lambda: apply(params, x), 'NumPy': with_numpy}, repeats
  )
  report(
    'forward pass: 1024-1000x5-9, 300 examples',
    'GFLOP/s',
    {
      name: 2 * 300 * sum(w.size for w in arrays) / each / 1e9
      for name, each in seconds.items()
    },
  )


def bench_training(repeats: int) -> None:
  """Seed-steps a second of training, against peers."""
  del repeats
  for network in benchmark_training.NETWORKS:
    rates = benchmark_training.contestants(network)
    report(f'training: {network}', 'seed-steps/s', rates)
    share = benchmark_training.matmul_share(network, rates['initlab'])
    print(f"  {share:.0%} of NumPy's own float32 matmul rate")
  slower = benchmark_training.shapeset_cost()
  print(f'\ntraining fed by the Shapeset generator takes x {slower:.2f}')


def bench_paper(repeats: int) -> None:
  """An update of the paper's training, and what its full table would take."""
  settings = {'at laptop size': (256,) * 5, 'at full size': (1000,) * 5}
  chapters = {each.title: each for each in __main__.COLLECTION.chapters}
  full = chapters['Figure 11 and table 1: Shapeset-3x2']
  values = define_flags(learning.EXPERIMENT)
  values(['_', *full.flags, *full.full])
  table = read_settings(learning.EXPERIMENT, values)
  seeds = len(parsing.seeds(values['seeds'].value))
  rates = {}
  for name, widths in settings.items():
    config = dataclasses.replace(table[0], widths=widths)
    call, size = _updates(config, count=20)
    rates[name] = 20 * size / measure({name: call}, repeats)[name]
  report('one update of one seed, Shapeset drawn', 'seed-updates/s', rates)
  updates = len(table) * seeds * table[0].steps
  hours = updates / rates['at full size'] / 3600
  print(
    f'  column Shapeset at full size: {len(table)} settings of {seeds} seeds, '
    f'{table[0].steps:,} updates each: {hours:,.0f} hours on '
    f'{jax.local_device_count()} devices'
  )


def bench_audit(repeats: int) -> None:
  """What an audit costs beside the gradient of the same model."""
  benchmark_audit.print_table(3 * repeats)


def _updates(
  config: learning.Config, count: int
) -> tuple[Callable[[], object], int]:
  """A call that takes so many updates of some seeds, and how many seeds."""
  devices = jax.local_devices()
  lanes = lane_rules.auto_lanes(
    devices[0].platform, networks.parameters(config)
  )
  trainer = parallel.trainer(
    learning.TRAINING, learning.program(config), lanes=lanes, devices=devices
  )
  data = parallel.to_devices(trainer, learning.load(config, ''))
  numbers = parallel.traced(learning.numbers(config))
  seeds = np.arange(trainer.size, dtype=np.uint32)
  start = trainer.start(keys.root(0), numbers, data, seeds)
  state = [start]

  def call():
    span = np.int32(0), np.int32(count)
    args = keys.root(0), numbers, data, *span, seeds, state.pop()
    state.append(trainer.advance(*args))
    return state[0]

  return call, trainer.size


SECTIONS = {
  'variance': bench_variance,
  'draws': bench_draws,
  'shapeset': bench_shapeset,
  'forward': bench_forward,
  'training': bench_training,
  'paper': bench_paper,
  'audit': bench_audit,
}


def main() -> None:
  """Runs the sections asked for."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
    '--section',
    default=','.join(SECTIONS),
    help=f'a comma list of {", ".join(SECTIONS)}',
  )
  parser.add_argument('--repeats', type=int, default=5)
  arguments = parser.parse_args()
  chosen = arguments.section.split(',')
  unknown = set(chosen) - set(SECTIONS)
  if unknown:
    parser.error(f'--section: no {", ".join(unknown)} in {list(SECTIONS)}')
  cores = machine.cores()
  jax.config.update('jax_num_cpu_devices', cores)
  jax.config.update('jax_default_matmul_precision', 'highest')
  device = jax.local_devices()[0]
  print(
    f'jax {jax.__version__}, {jax.local_device_count()} x '
    f'{device.device_kind}, {cores} cores'
  )
  for name in chosen:
    SECTIONS[name](arguments.repeats)


if __name__ == '__main__':
  main()
