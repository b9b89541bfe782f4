"""The impure shell of every program: flags, devices, progress, errors.

    main(EXPERIMENT)

reads the flags, which follow from the experiment's Config, configures JAX, runs
the study, publishes its report and prints it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import os
import shlex
import shutil
import sys
import types
import typing
from typing import Any, NamedTuple
import warnings

from absl import flags

from initlab import base, stats
from initlab.engine import partition, study
from initlab.experiment import (
  Chapter,
  Collection,
  Experiment,
  Panel,
  present,
)
from initlab.launch import machine, progress, workers as launchers
from initlab.launch.flags import (
  collection_help,
  define_collection_flags,
  define_flags,
  expanded,
  flag_names,
  help_text,
  parsed,
  read,
  read_chapters,
  read_options,
  read_settings,
  selection,
)
from initlab.launch.options import (
  OF_REPORTS,
  OF_WORKERS,
  PRINTED,
  SHARED,
  Options,
)
from initlab.report import (
  as_json,
  collection as collections,
  plan as plans,
  publish,
  screen,
  text,
  tracking,
)

# Exit status -> what it means, for all commands together.
STATUSES = {
  0: 'done',
  1: 'an error, in one line on stderr',
  2: 'no such program (of the command initlab)',
  3: 'findings that --fail_on counts (of an audit)',
  130: 'interrupted; the same command resumes',
}

HELP = {'--help', '-h', '-help', '--helpfull', '--helpshort'}


def main(
  experiment: Experiment,
  argv: Sequence[str] | None = None,
  *,
  instead: Mapping[str, Experiment] = types.MappingProxyType({}),
) -> typing.NoReturn:
  """Runs a program and exits with one of `STATUSES`.

  Args:
    experiment: the experiment to run.
    argv: the command line, `sys.argv` if None.
    instead: flag -> the experiment that runs if that flag is given.
  """
  body = functools.partial(_main, experiment, instead)
  exit_with(experiment.name, body, argv)


def chosen(
  experiment: Experiment,
  instead: Mapping[str, Experiment],
  argv: Sequence[str],
) -> Experiment:
  """The experiment that a command line is for, see `main`.

  Args:
    experiment, instead: see there.
    argv: with its flagfiles expanded.
  """
  names = flag_names(argv)
  found = [each for flag, each in instead.items() if flag in names]
  return found[0] if found else experiment


def collect(
  collection: Collection, argv: Sequence[str] | None = None
) -> typing.NoReturn:
  """Runs all experiments of a collection, writes its page, exits like `main`.

  Args:
    collection: the collection.
    argv: the command line, `sys.argv` if None.
  """
  exit_with(collection.name, functools.partial(_collect, collection), argv)


def exit_with(
  name: str,
  body: Callable[[Sequence[str]], None],
  argv: Sequence[str] | None,
) -> typing.NoReturn:
  """Runs a program and turns every outcome into a message and exit status.

  Args:
    name: of the program, the prefix of its messages.
    body: called with the command line.
    argv: the command line, `sys.argv` if None.
  """
  try:
    body(sys.argv if argv is None else argv)
  except (base.UserError, flags.Error) as error:
    message = ' '.join(str(error).split())
    print(f'{name}: error: {message}', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print(
      f'\n{name}: interrupted; finished seeds and checkpoints are saved, and '
      'the same command resumes from there',
      file=sys.stderr,
    )
    sys.exit(130)
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
  sys.exit(0)


def statuses(*more: int) -> str:
  """What `--help` says of the exit status of a command.

  Args:
    *more: the statuses that it has beside those of every command.
  """
  lines = [f'  {n}  {STATUSES[n]}' for n in sorted({0, 1, 130, *more})]
  return '\n'.join(['', 'Exit status:', *lines])


class _Run(NamedTuple):
  """What a command line asks for; `asked` are the options of the engine."""

  experiment: Experiment
  settings: list[Any]
  options: Options
  asked: study.Options


def _main(
  experiment: Experiment,
  instead: Mapping[str, Experiment],
  argv: Sequence[str],
) -> None:
  words = expanded(argv)
  experiment = chosen(experiment, instead, words)
  values = define_flags(experiment)
  if HELP & set(argv[1:]):
    print(help_text(experiment, values, columns()))
    print(statuses())
    return
  parsed(values, words)
  options = read_options(values)
  machine.configure(options.matmul_precision, options.compile_cache)
  settings = read_settings(experiment, values)
  command = shlex.join(['python', *experiment.program, *argv[1:]])
  run = _Run(experiment, settings, options, options.of_study(command))
  if options.dry_run:
    print(_planned(run), end='')
  elif options.launcher != 'none':
    _check_exports(run)
    print(_launched(experiment, values, options))
  elif not _has_worked(run):
    _check_exports(run)
    print(_reported(run), end='')


def _planned(run: _Run) -> str:
  """The plan of a study, which is not run."""
  with _warnings_shown():
    plan = plans.make(
      run.experiment, run.settings, run.asked, run.options.num_shards
    )
  if run.options.json:
    return as_json.document('plan', plans.as_dict(plan))
  return plans.text(plan, columns())


def _has_worked(run: _Run) -> bool:
  """Computes the share of a worker; whether this process writes no report."""
  options = run.options
  work = functools.partial(study.work, run.experiment, run.settings, run.asked)
  with _warnings_shown():
    if options.distributed:
      with launchers.joined(*options.processes()) as worker:
        tally = work(worker, progress.bar)
      if worker.index == 0:
        return False
    elif worker := options.worker():
      tally = work(worker, progress.bar)
    else:
      return False
  _print_tally(worker, tally, options)
  return True


def _reported(run: _Run) -> str:
  """Runs a study, writes its report and returns what is printed of it."""
  experiment, settings, options, asked = run
  with _warnings_shown():
    outcomes, tasks = study.run(experiment, settings, asked, progress.bar)
    experiment, outcomes = present(experiment, outcomes)
    facts = publish.publish(experiment, outcomes, tasks, asked)
    if options.tracker != 'none':
      runs = tracking.of_study(experiment, outcomes, facts)
      facts['tracked'] = tracking.export(
        options.tracker, options.project, runs, facts['page']
      )
  if options.json:
    return as_json.document('study', as_json.study(experiment, outcomes, facts))
  report = text.text if options.verbose else screen.text
  printed = report(experiment, outcomes, facts, columns())
  if len(options.seeds) > 1:
    return printed
  note = f'a single seed has no interval; --seeds=0:{stats.FEWEST} has one'
  return f'{printed}\n{note}\n'


def _check_exports(run: _Run) -> None:
  """Checks, before a run, that its report can be exported as the flags say.

  Raises:
    UserError: a package is not installed, or there are no learning curves.
  """
  if run.options.tensorboard:
    publish.check_curves(run.experiment, run.settings)
  if run.options.tracker != 'none':
    tracking.library(run.options.tracker)


def _collect(collection: Collection, argv: Sequence[str]) -> None:
  values = define_collection_flags(collection)
  if HELP & set(argv[1:]):
    print(collection_help(collection, values, columns()))
    print(statuses())
    return
  parsed(values, argv)
  given = [
    f'--{name}={values[name].value}' for name in SHARED if values[name].present
  ]
  full = bool(collection.full and values['full'].value)
  own = (*PRINTED, 'matmul_precision', 'compile_cache')
  options = Options(**read(Options, values, own))
  chapters = read_chapters(collection, str(values['only'].value))
  # Before any setting is checked, which may use a device.
  machine.configure(options.matmul_precision, options.compile_cache)
  runs = [_opened(chapter, full, given) for chapter in chapters]
  command = ['python', *collection.program, *argv[1:]]
  with _warnings_shown():
    if options.dry_run:
      _print_plans(runs, as_document=options.json)
      return
    if options.tracker != 'none':
      tracking.library(options.tracker)
    parts, facts = collections.run(
      collection,
      runs,
      shlex.join(command),
      f'{collection.name}-full' if full else collection.name,
      selection(values),
      progress.bar,
      lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.tracker != 'none':
      tracked = tracking.of_collection(collection, parts)
      facts['tracked'] = tracking.export(
        options.tracker, options.project, tracked, facts['page']
      )
  if options.json:
    outcome = collections.as_dict(collection, parts, facts)
    print(as_json.document('collection', outcome), end='')
    return
  report = collections.text(
    collection, parts, facts, columns(), verbose=options.verbose
  )
  print(report, end='')


def _print_plans(runs: Sequence[collections.Run], *, as_document: bool) -> None:
  """Prints the plan of every chapter, or why it cannot be run.

  Raises:
    UserError: no chapter can be run.
  """
  content: list[dict[str, Any]] = []
  errors: list[base.UserError] = []
  for run in runs:
    title = run.chapter.title
    try:
      plan = plans.make(run.experiment, run.settings, run.options, 1)
    except base.UserError as error:
      errors.append(error)
      content.append({'title': title, 'not_run': str(error)})
      found = f'not run: {error}\n'
    else:
      content.append({'title': title, 'not_run': None, **plans.as_dict(plan)})
      found = plans.text(plan, columns())
    if not as_document:
      print(f'{title}\n{found}', flush=True)
  if len(errors) == len(runs):
    raise errors[0]
  if as_document:
    print(as_json.document('plans', {'chapters': content}), end='')


def _opened(
  chapter: Chapter, full: bool, given: Sequence[str]
) -> collections.Run:
  """A chapter's experiment with its flags parsed; later flags override."""
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
  return collections.Run(
    chapter,
    experiment,
    read_settings(experiment, values),
    read_options(values).of_study(shlex.join(command)),
  )


def _launched(
  experiment: Experiment,
  values: flags.FlagValues,
  options: Options,
) -> str:
  """Runs a study on the launcher's workers and returns its report."""
  names = [
    field.name
    for cls in (experiment.config, Options)
    for field in dataclasses.fields(cls)
  ]
  given = {
    name: f'--{name}={values[name].value}'
    for name in names
    if values[name].present and name not in OF_WORKERS
  }
  shared = [flag for name, flag in given.items() if name not in OF_REPORTS]
  command = functools.partial(launchers.Command, experiment.program)
  count = options.num_shards
  shards = [
    command([*shared, f'--num_shards={count}', f'--shard_index={index}'])
    for index in range(count)
  ]
  report = command(list(given.values()))
  done = lambda index, line: print(
    line or f'shard {index} of {count}: done', file=sys.stderr, flush=True
  )
  if options.launcher == 'ray':
    return launchers.on_ray(shards, report, done)
  return launchers.submit(
    options.launcher,
    shards,
    report,
    options.out / 'jobs',
    options.job(),
    done,
  )


def _print_tally(
  worker: partition.Worker, tally: study.Tally, options: Options
) -> None:
  """Prints how many seeds a worker had, and has computed."""
  if options.json:
    content = {'shard': worker.index, 'of': worker.count, **tally._asdict()}
    print(as_json.document('shard', content), end='')
    return
  print(
    f'shard {worker.index} of {worker.count}: {tally.share} seeds of all '
    f'settings, {tally.computed} computed, {tally.share - tally.computed} '
    'stored before'
  )


@contextlib.contextmanager
def _warnings_shown() -> Iterator[None]:
  """Prints warnings of this package, one line each."""
  with warnings.catch_warnings():
    warnings.filterwarnings('always', category=UserWarning, module='initlab')
    warnings.showwarning = _show_warning
    yield


def _show_warning(message, category, filename, lineno, file=None, line=None):
  del category, filename, lineno, file, line
  print(f'warning: {message}', file=sys.stderr)


def columns() -> int:
  """Of the terminal, from 60 to 120."""
  return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
