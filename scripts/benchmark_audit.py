"""What an audit costs beside the model's own gradient.

For each model, one initialization, the statistics of its leaves included:
seconds to trace, lower and compile (CPU time of the process), seconds of a run
(the median of repeats that alternate), and bytes that the compiled program
holds beside its arguments. The ratios are what carries over to other machines.
"""

import pathlib
import statistics
import sys
import time

import jax

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from initlab import keys
from initlab.models import measure, model as models, recognize
from tests.helpers import architectures

_REPEATS = 15

_MODELS = {
  'transformer, 6 blocks of width 64': lambda: architectures.language_model(
    depth=6, width=64
  ),
  'the same, scanned, 128 wide': lambda: architectures.language_model(
    scanned=True, depth=6, width=128
  ),
  'the same, with remat': lambda: architectures.language_model(
    scanned=True, remat=True, depth=6, width=128
  ),
  'residual ConvNet': architectures.resnet,
}


def contestants(init, model, batch):
  """The audit's program and the model's gradient, of the same arguments."""
  found = models.take_apart(init, model, batch)
  functions = recognize.recognize(list(found.plan.activations.values()))
  steepest = {number: each.steepest for number, each in functions.items()}

  def audit(params, batch):
    leaves = jax.tree.leaves(params)
    rest = [None] * len(leaves) + jax.tree.leaves(batch)
    down = None if found.scalar else keys.root(7)
    return measure.measure(
      found.plan, steepest, leaves, rest, found.output, down
    )

  def gradient(params, batch):
    return jax.value_and_grad(lambda p: model(p, *batch).sum())(params)

  return {'audit': audit, 'gradient': gradient}


def compiled(function, arguments):
  """The program, seconds until there is one, and the bytes that it holds."""
  start = time.process_time()
  program = jax.jit(function).lower(*arguments).compile()
  seconds = time.process_time() - start
  memory = program.memory_analysis()
  return (
    program,
    seconds,
    memory.temp_size_in_bytes + (memory.output_size_in_bytes),
  )


def main() -> None:
  """Prints a table."""
  print(f'{"":36} {"compile":>10} {"run":>10} {"memory":>10}')
  for name, make in _MODELS.items():
    init, model, batch = make()
    arguments = jax.jit(init)(keys.root(0)), batch
    programs, costs, seconds = {}, {}, {}
    for kind, function in contestants(init, model, batch).items():
      programs[kind], *costs[kind] = compiled(function, arguments)
      seconds[kind] = []
      jax.block_until_ready(programs[kind](*arguments))
    for _ in range(_REPEATS):
      for kind, program in programs.items():
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds[kind].append(time.perf_counter() - start)
    for kind in programs:
      costs[kind].insert(1, statistics.median(seconds[kind]))
    ratios = [a / g for a, g in zip(*costs.values(), strict=True)]
    cells = ' '.join(f'{f"x {ratio:.2f}":>10}' for ratio in ratios)
    print(f'{name:36} {cells}')


if __name__ == '__main__':
  main()
