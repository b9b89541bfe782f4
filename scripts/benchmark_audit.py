"""What an audit costs beside the model's own gradient.

For each model, one initialization, the statistics of its leaves included:
seconds of a run (the least of repeats that alternate: other load only adds),
seconds to trace, lower and compile (CPU time of the process), and bytes that
the compiled program holds beside its arguments. The ratios are what carries
over to other machines. In models of a few tokens or pixels an operation costs
its overhead, whatever it does, and an audit is at its worst.
"""

import functools
import pathlib
import sys
import time

import jax

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from initlab import keys
from initlab.models import measure, model as models, recognize
from tests.helpers import architectures

# Column -> the largest ratio that the audit is meant to have.
_LIMITS = {'run': 2.0, 'compile': 2.5, 'memory': 1.5}

_language = functools.partial(architectures.language_model, depth=6)
_convnet = architectures.residual_convnet
_few, _many = (4, 64), (4, 128)  # sequences, tokens

_MODELS = {
  'Overhead rules: a few tokens or pixels': {
    'transformer, 64 wide, 2 x 6 tokens': lambda: _language(width=64),
    'scanned, 128 wide, 2 x 6 tokens': lambda: _language(True, width=128),
    'the same, with remat': lambda: _language(True, True, width=128),
    'ConvNet, 8 channels, 2 images of 6 pixels': lambda: _convnet(8, 2, 6),
  },
  'Sizes that people train': {
    'transformer, 64 wide, 4 x 64 tokens': lambda: _language(
      width=64, batch=_few
    ),
    'scanned, 256 wide, 4 x 128 tokens': lambda: _language(
      True, width=256, batch=_many
    ),
    'the same, with remat': lambda: _language(
      True, True, width=256, batch=_many
    ),
    'ConvNet, 32 channels, 8 images of 32 pixels': lambda: _convnet(32, 8, 32),
    'ConvNet, 128 channels, 8 images of 16 pixels': lambda: _convnet(
      128, 8, 16
    ),
  },
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
    return jax.value_and_grad(lambda p: model(p, *batch))(params)

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
    memory.temp_size_in_bytes + memory.output_size_in_bytes,
  )


def ratios(make, repeats):
  """Column -> what the audit takes over what the gradient does."""
  init, model, batch = make()
  arguments = jax.jit(init)(keys.root(0)), batch
  programs, compile_times, memory, runs = {}, {}, {}, {}
  for kind, function in contestants(init, model, batch).items():
    program, compile_times[kind], memory[kind] = compiled(function, arguments)
    jax.block_until_ready(program(*arguments))
    programs[kind], runs[kind] = program, float('inf')
  for _ in range(repeats):
    for kind, program in programs.items():
      start = time.perf_counter()
      jax.block_until_ready(program(*arguments))
      runs[kind] = min(runs[kind], time.perf_counter() - start)
  costs = {'run': runs, 'compile': compile_times, 'memory': memory}
  return {
    name: cost['audit'] / cost['gradient'] for name, cost in costs.items()
  }


def print_table(repeats: int) -> None:
  """Prints the ratios; an asterisk marks what exceeds its limit."""
  heads = ' '.join(f'{name:>9}' for name in _LIMITS)
  print(f'\n{"audit, times value_and_grad of 6 blocks or 3 of two":52} {heads}')
  limits = ' '.join(f'{f"<= {limit:.1f}":>9}' for limit in _LIMITS.values())
  print(f'  {"limit":50} {limits}')
  for title, group in _MODELS.items():
    print(f'  {title}')
    for name, make in group.items():
      found = ratios(make, repeats).items()
      cells = (
        f'{ratio:.2f}' + '*' * (ratio > _LIMITS[column])
        for column, ratio in found
      )
      line = ' '.join(f'{cell:>9}' for cell in cells)
      print(f'    {name:48} {line}', flush=True)
