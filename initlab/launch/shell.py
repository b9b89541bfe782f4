"""The impure shell of every program: flags, devices, progress, errors.

    main(EXPERIMENT)

reads the flags, which follow from the experiment's Config, configures JAX, runs
the study, publishes its report and prints it.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import os
import pathlib
import shlex
import shutil
import sys
import typing
from typing import Any
import warnings

from absl import flags

from initlab import base
from initlab.engine import study
from initlab.experiment import Chapter, Collection, Experiment, Panel
from initlab.launch import machine, workers as launchers
from initlab.launch.flags import (
  FLAGS,
  PLACES,
  SHARED,
  Workers,
  collection_help,
  define_collection_flags,
  define_flags,
  help_text,
  read_chapters,
  read_options,
  read_settings,
  read_workers,
)
from initlab.report import collection, plan as plans, publish, text

_HELP = {'--help', '-h', '-help', '--helpfull', '--helpshort'}


def main(
  experiment: Experiment, argv: Sequence[str] | None = None
) -> typing.NoReturn:
  """Runs a program and exits: 0 done, 1 an error, 130 interrupted.

  Args:
    experiment: the page of code to turn into a program.
    argv: the command line, `sys.argv` if None.
  """
  _exit(experiment.name, functools.partial(_main, experiment), argv)


def collect(
  program: Collection, argv: Sequence[str] | None = None
) -> typing.NoReturn:
  """Runs all experiments of a collection, makes its page and exits as `main`.

  Args:
    program: the collection.
    argv: the command line, `sys.argv` if None.
  """
  _exit(program.name, functools.partial(_collect, program), argv)


def _exit(
  name: str,
  body: Callable[[Sequence[str]], None],
  argv: Sequence[str] | None,
) -> typing.NoReturn:
  """Runs a program; every way out of it has its message and its status."""
  try:
    body(sys.argv if argv is None else argv)
  except (base.UserError, flags.Error) as error:
    message = ' '.join(str(error).split())
    print(f'{name}: error: {message}', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print(
      f'\n{name}: interrupted; what was finished and what was in training is '
      'saved, and the same command goes on from there',
      file=sys.stderr,
    )
    sys.exit(130)
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
  sys.exit(0)


def _main(experiment: Experiment, argv: Sequence[str]) -> None:
  values = define_flags(experiment)
  if _HELP & set(argv[1:]):
    print(help_text(experiment, values, _columns()))
    return
  rest = values(argv)[1:]
  if rest:
    raise base.UserError(f'{rest[0]!r} is not a flag; --help lists them')
  settings = read_settings(experiment, values)
  command = ['python', *experiment.program, *argv[1:]]
  options = read_options(values, shlex.join(command))
  workers = read_workers(values)
  if workers.launcher != 'none' and not values['dry_run'].value:
    print(_launched(experiment, values, options.out, workers))
    return
  with _warnings_shown():
    machine.configure(
      options.matmul_precision, str(values['compile_cache'].value)
    )
    if values['dry_run'].value:
      count = workers.num_shards
      plan = plans.text(experiment, settings, options, count, _columns())
      print(plan, end='')
      return
    work = functools.partial(study.work, experiment, settings, options)
    if workers.distributed:
      with launchers.joined(*workers.distributed) as shard:
        worked = work(shard, _progress)
      if shard.index:
        print(_worked_text(shard, worked))
        return
    if workers.shard:
      print(_worked_text(workers.shard, work(workers.shard, _progress)))
      return
    if options.tensorboard:
      publish.check_curves(experiment, settings)
    outcomes, tasks = study.run(experiment, settings, options, _progress)
    facts = publish.publish(experiment, outcomes, tasks, options)
  print(text.text(experiment, outcomes, facts, _columns()), end='')
  if len(options.seeds) == 1:
    seed = options.seeds[0]
    print(f'\none seed has no interval; --seeds=0:{max(seed, 2)} runs many')


def _collect(program: Collection, argv: Sequence[str]) -> None:
  values = define_collection_flags(program)
  if _HELP & set(argv[1:]):
    print(collection_help(program, values, _columns()))
    return
  rest = values(argv)[1:]
  if rest:
    raise base.UserError(f'{rest[0]!r} is not a flag; --help lists them')
  given = [
    f'--{name}={values[name].value}' for name in SHARED if values[name].present
  ]
  full = bool(program.full and values['full'].value)
  chapters = read_chapters(program, str(values['only'].value))
  runs = [_opened(chapter, full, given) for chapter in chapters]
  command = ['python', *program.program, *argv[1:]]
  with _warnings_shown():
    machine.configure(
      runs[0].options.matmul_precision, str(values['compile_cache'].value)
    )
    if values['dry_run'].value:
      for run in runs:
        plan = plans.text(
          run.experiment, run.settings, run.options, 1, _columns()
        )
        print(f'{run.chapter.title}\n{plan}')
      return
    print(
      collection.run(
        program,
        runs,
        shlex.join(command),
        f'{program.name}-full' if full else program.name,
        _progress,
        lambda line: print(line, file=sys.stderr, flush=True),
        _columns(),
      ),
      end='',
    )


def _opened(
  chapter: Chapter, full: bool, given: Sequence[str]
) -> collection.Run:
  """A chapter's experiment with its flags read; the last of a name counts."""
  experiment = chapter.experiment
  if chapter.panels:
    named = {panel.name: panel for panel in experiment.panels}
    chosen = (
      each if isinstance(each, Panel) else named[each]
      for each in chapter.panels
    )
    experiment = experiment._replace(panels=tuple(chosen))
  flags_ = [*chapter.flags, *(chapter.full if full else ()), *given]
  last = {flag.partition('=')[0]: flag for flag in flags_}
  values = define_flags(experiment)
  values([experiment.name, *last.values()])
  command = ['python', *experiment.program, *last.values()]
  return collection.Run(
    chapter,
    experiment,
    read_settings(experiment, values),
    read_options(values, shlex.join(command)),
  )


def _launched(
  experiment: Experiment,
  values: flags.FlagValues,
  out: pathlib.Path,
  workers: Workers,
) -> str:
  """The report of a study that workers elsewhere compute."""
  names = [field.name for field in dataclasses.fields(experiment.config)]
  names += [name for name in FLAGS if name not in PLACES]
  given = [
    f'--{name}={values[name].value}' for name in names if values[name].present
  ]
  command = functools.partial(launchers.Command, experiment.program)
  shown = ['--tensorboard'] if values['tensorboard'].value else []
  count = workers.num_shards
  shards = [
    command([*given, f'--num_shards={count}', f'--shard_index={index}'])
    for index in range(count)
  ]
  done = lambda index, line: print(
    line or f'shard {index} of {count}: done', file=sys.stderr, flush=True
  )
  if workers.launcher == 'ray':
    return launchers.on_ray(shards, command([*given, *shown]), done)
  return launchers.submit(
    workers.launcher,
    shards,
    command([*given, *shown]),
    out / 'jobs',
    workers.job,
    done,
  )


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
  """Yields `advance(label, count)`: a bar on a terminal, nothing in a pipe."""
  if not total or not sys.stderr.isatty():
    yield lambda label, count: None
    return
  from rich import console, progress

  with progress.Progress(
    progress.TextColumn('{task.description}'),
    progress.BarColumn(),
    progress.TextColumn('{task.completed:.4g}/{task.total} seeds'),
    progress.TimeElapsedColumn(),
    progress.TimeRemainingColumn(),
    console=console.Console(stderr=True),
    transient=True,
  ) as bar:
    task = bar.add_task('', total=total)
    yield lambda label, count: bar.update(
      task, description=label, advance=count
    )


def _worked_text(shard: study.Shard, worked: study.Worked) -> str:
  return (
    f'shard {shard.index} of {shard.count}: {worked.share} seeds of all '
    f'settings, {worked.computed} computed, {worked.share - worked.computed} '
    'there before'
  )


@contextlib.contextmanager
def _warnings_shown() -> Iterator[None]:
  """Ours, one line each."""
  with warnings.catch_warnings():
    warnings.filterwarnings('always', category=UserWarning, module='initlab')
    warnings.showwarning = _show_warning
    yield


def _show_warning(message, category, filename, lineno, file=None, line=None):
  del category, filename, lineno, file, line
  print(f'warning: {message}', file=sys.stderr)


def _columns() -> int:
  return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
