"""The impure shell of every program: flags, devices, progress, errors.

    main(EXPERIMENT)

reads the flags, which follow from the experiment's Config, configures JAX, runs
the study and prints its report. No other module reads a flag or touches
`jax.config`.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import hashlib
import importlib
import itertools
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import sys
import textwrap
import threading
import time
import typing
from typing import Any, NamedTuple
import warnings

from absl import flags
import jax
import jaxlib

from initlab import (
  base,
  collection,
  datasets,
  keys,
  launchers,
  parsing,
  plans,
  report,
  study,
)

# jaxlib versions whose CPU LAPACK calls deadlock under vmap, unless the thread
# pool is larger than the number of calls.
_DEADLOCKING = re.compile(r'0\.10\.|0\.11\.0$')

# The most workers of one study; SLURM's own arrays are smaller.
_MOST_SHARDS = 2**16

_HELP = {'--help', '-h', '-help', '--helpfull', '--helpshort'}

_LAUNCHERS = ('none', 'slurm', 'local', 'ray')

# Flags that say where a study runs, not what it is.
_PLACES = ('num_shards', 'shard_index', 'launcher')
_PLACES += ('slurm_partition', 'slurm_minutes', 'slurm_gpus', 'slurm_cpus')

# Flags that a collection hands to all its experiments.
_SHARED = ('seeds', 'root_seed', 'lanes', 'devices', 'matmul_precision')
_SHARED += ('checkpoint_every', 'out', 'data_dir', 'compile_cache')

_PRECISIONS = ('highest', 'high', 'default')

# name -> (default, help)
_FLAGS = {
  'seeds': (
    '0:32',
    'the repetitions: 0:32 for thirty-two, 17 for that one alone, 0:8,17,40:50',
  ),
  'root_seed': ('0', 'the integer that all keys come from'),
  'lanes': (
    'auto',
    'how many seeds a device advances at once; 1 is the exact mode; auto goes '
    'by backend and network size, never by a timing, and takes fewer where the '
    "device's memory does not hold so many",
  ),
  'devices': ('all', 'how many devices to use; on a CPU there is one a core'),
  'matmul_precision': (
    'highest',
    'of float32 products: highest, high or default (the last two are TF32 or '
    'bfloat16 on accelerators)',
  ),
  'checkpoint_every': (
    '60',
    'seconds after which the trainings under way are saved; a run that is '
    'killed loses at most so much, one that is interrupted (Ctrl-C, SIGTERM) '
    'nothing',
  ),
  'out': ('results', 'the folder of all results'),
  'data_dir': (
    'auto',
    'the folder of downloaded data sets; auto is $INITLAB_DATA_DIR, or else '
    '~/.cache/initlab/data',
  ),
  'compile_cache': (
    '~/.cache/initlab/xla',
    'where compiled programs are kept for the next run, in a folder for each '
    'kind of processor; none keeps none',
  ),
  'num_shards': (
    '1',
    'how many workers share the seeds of every setting, each a process of its '
    'own on any machine that sees the folder --out; they should have devices '
    'of one kind',
  ),
  'shard_index': (
    'none',
    'compute the share of this worker, from 0, and print no report: for SLURM '
    'job arrays ($SLURM_ARRAY_TASK_ID), Kubernetes indexed jobs '
    '($JOB_COMPLETION_INDEX) and GNU parallel. The same command without it '
    'prints the report, and computes what is still missing',
  ),
  'launcher': (
    'none',
    'start --num_shards workers, wait for them and print the report: slurm '
    'submits jobs (pip install initlab[slurm]), local runs the same as '
    'processes of this machine, ray uses a cluster, or this machine (pip '
    'install initlab[ray]), with a GPU a worker where there are any',
  ),
  'slurm_partition': ('default', 'of --launcher=slurm: where jobs go'),
  'slurm_minutes': (
    '240',
    'of --launcher=slurm: after which a job is stopped; the same command then '
    'goes on from its checkpoints',
  ),
  'slurm_gpus': ('0', 'of --launcher=slurm: GPUs a job'),
  'slurm_cpus': ('2', 'of --launcher=slurm: cores a job'),
  'coordinator_address': (
    'auto',
    'of --distributed: host:port of process 0; auto where JAX finds it out, as '
    'on TPU pods and under SLURM',
  ),
  'num_processes': ('auto', 'of --distributed: how many there are'),
  'process_id': ('auto', 'of --distributed: which one this is, from 0'),
}

_SWITCHES = {
  'tensorboard': (
    'write learning curves, the mean over seeds and the ends of its interval, '
    "as TensorBoard's event files beside the report (pip install "
    'initlab[tensorboard])'
  ),
  'dry_run': (
    'print what would be done, of each setting and by each worker, with memory '
    'and cost, and do nothing; programs are compiled, for which the run need '
    'then not wait'
  ),
  'distributed': (
    'this is one of the processes of one program over hosts (jax.distributed): '
    'each computes its share on its own devices, and process 0 prints the '
    'report once all are done. Only for platforms that want it so (TPU pods): '
    'the processes end together where one is lost'
  ),
}


class Workers(NamedTuple):
  """How the seeds of a study are shared out.

  num_shards: among how many workers.
  shard: which of them this is; None for a run of everything.
  distributed: what `launchers.joined` takes; None for a process of its own.
  launcher: what starts the workers; 'none' if they start by themselves.
  job: what each asks SLURM for.
  """

  num_shards: int
  shard: study.Shard | None
  distributed: tuple[str | None, int | None, int | None] | None
  launcher: str
  job: launchers.Job


def main(
  experiment: base.Experiment, argv: Sequence[str] | None = None
) -> typing.NoReturn:
  """Runs a program and exits: 0 done, 1 an error, 130 interrupted.

  Args:
    experiment: the page of code to turn into a program.
    argv: the command line, `sys.argv` if None.
  """
  _exit(experiment.name, functools.partial(_main, experiment), argv)


def collect(
  program: base.Collection, argv: Sequence[str] | None = None
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


def _main(experiment: base.Experiment, argv: Sequence[str]) -> None:
  values = define_flags(experiment)
  if _HELP & set(argv[1:]):
    print(help_text(experiment, values, _columns()))
    return
  rest = values(argv)[1:]
  if rest:
    raise base.UserError(f'{rest[0]!r} is not a flag; --help lists them')
  settings = read_settings(experiment, values)
  command = ['python', '-m', f'experiments.{experiment.name}', *argv[1:]]
  options = read_options(values, shlex.join(command))
  workers = read_workers(values)
  if workers.launcher != 'none' and not values['dry_run'].value:
    print(_launched(experiment, values, options.out, workers))
    return
  with _warnings_shown():
    configure(options.matmul_precision, str(values['compile_cache'].value))
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
    outcomes, facts = study.run(experiment, settings, options, _progress)
  print(report.text(experiment, outcomes, facts, _columns()), end='')
  if len(options.seeds) == 1:
    seed = options.seeds[0]
    print(f'\none seed has no interval; --seeds=0:{max(seed, 2)} runs many')


def _collect(program: base.Collection, argv: Sequence[str]) -> None:
  values = define_collection_flags(program)
  if _HELP & set(argv[1:]):
    print(collection_help(program, values, _columns()))
    return
  rest = values(argv)[1:]
  if rest:
    raise base.UserError(f'{rest[0]!r} is not a flag; --help lists them')
  given = [
    f'--{name}={values[name].value}' for name in _SHARED if values[name].present
  ]
  full = bool(program.full and values['full'].value)
  chapters = read_chapters(program, str(values['only'].value))
  runs = [_opened(chapter, full, given) for chapter in chapters]
  command = ['python', '-m', f'experiments.{program.name}', *argv[1:]]
  with _warnings_shown():
    configure(
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
        program.name + '-full' * full,
        _progress,
        lambda line: print(line, file=sys.stderr, flush=True),
        _columns(),
      ),
      end='',
    )


def _opened(
  chapter: base.Chapter, full: bool, given: Sequence[str]
) -> collection.Run:
  """A chapter's experiment with its flags read; the last of a name counts."""
  module = importlib.import_module(f'experiments.{chapter.experiment}')
  experiment = module.EXPERIMENT
  if chapter.panels:
    named = {panel.name: panel for panel in experiment.panels}
    chosen = (
      each if isinstance(each, base.Panel) else named[each]
      for each in chapter.panels
    )
    experiment = experiment._replace(panels=tuple(chosen))
  flags_ = [*chapter.flags, *(chapter.full if full else ()), *given]
  last = {flag.partition('=')[0]: flag for flag in flags_}
  values = define_flags(experiment)
  values([experiment.name, *last.values()])
  command = ['python', '-m', f'experiments.{experiment.name}', *last.values()]
  return collection.Run(
    chapter,
    experiment,
    read_settings(experiment, values),
    read_options(values, shlex.join(command)),
  )


def _launched(
  experiment: base.Experiment,
  values: flags.FlagValues,
  out: pathlib.Path,
  workers: Workers,
) -> str:
  """The report of a study that workers elsewhere compute."""
  names = [field.name for field in dataclasses.fields(experiment.config)]
  names += [name for name in _FLAGS if name not in _PLACES]
  given = [
    f'--{name}={values[name].value}' for name in names if values[name].present
  ]
  program = functools.partial(
    launchers.Program, f'experiments.{experiment.name}'
  )
  shown = ['--tensorboard'] if values['tensorboard'].value else []
  count = workers.num_shards
  shards = [
    program([*given, f'--num_shards={count}', f'--shard_index={index}'])
    for index in range(count)
  ]
  done = lambda index, line: print(
    line or f'shard {index} of {count}: done', file=sys.stderr, flush=True
  )
  if workers.launcher == 'ray':
    return launchers.on_ray(shards, program([*given, *shown]), done)
  return launchers.submit(
    workers.launcher,
    shards,
    program([*given, *shown]),
    out / 'jobs',
    workers.job,
    done,
  )


# The command line.


def define_flags(experiment: base.Experiment) -> flags.FlagValues:
  """One flag a knob of the Config, and those of the launcher."""
  values = flags.FlagValues()
  for field in dataclasses.fields(experiment.config):
    flags.DEFINE_string(
      field.name,
      experiment.defaults.get(field.name, base.written(field.default)),
      field.metadata['help'],
      flag_values=values,
      module_name='setting',
    )
  for name, (default, text) in _FLAGS.items():
    flags.DEFINE_string(
      name,
      experiment.defaults.get(name, default),
      text,
      flag_values=values,
      module_name='launch',
    )
  for name, text in _SWITCHES.items():
    flags.DEFINE_boolean(
      name, False, text, flag_values=values, module_name='launch'
    )
  return values


def define_collection_flags(program: base.Collection) -> flags.FlagValues:
  """Those that all its experiments take, and which chapters to run."""
  values = flags.FlagValues()
  define = functools.partial(
    flags.DEFINE_string, flag_values=values, module_name='launch'
  )
  define('only', 'all', 'chapters whose titles have one of these words')
  for name in _SHARED:
    own = "each chapter's own" if name == 'seeds' else _FLAGS[name][0]
    define(name, own, _FLAGS[name][1])
  switches = {'dry_run': _SWITCHES['dry_run']}
  if program.full:
    switches['full'] = program.full
  for name, text in switches.items():
    flags.DEFINE_boolean(
      name, False, text, flag_values=values, module_name='launch'
    )
  return values


def collection_help(
  program: base.Collection, values: flags.FlagValues, width: int
) -> str:
  """What --help prints of a collection."""
  lines = [program.doc.strip(), '', 'Chapters:']
  lines += [
    f'  {chapter.title} (experiments.{chapter.experiment})'
    for chapter in program.chapters
  ]
  lines += ['', 'Launching:']
  for name in ('only', *_SHARED, *['full'] * bool(program.full), 'dry_run'):
    lines += _flag_help(values[name], (), width)
  return '\n'.join(lines)


def read_chapters(
  program: base.Collection, only: str
) -> tuple[base.Chapter, ...]:
  """The chapters of `--only`, in their order.

  Args:
    program: the collection.
    only: 'all', or a comma list of words that titles have.

  Raises:
    UserError: a word that no title has.
  """
  if only == 'all':
    return program.chapters
  words = [word.strip().lower() for word in only.split(',')]
  for word in words:
    if not word or not any(word in c.title.lower() for c in program.chapters):
      titles = '; '.join(chapter.title for chapter in program.chapters)
      raise base.UserError(f'--only={only}: no chapter has {word!r}. {titles}')
  return tuple(
    chapter
    for chapter in program.chapters
    if any(word in chapter.title.lower() for word in words)
  )


def help_text(
  experiment: base.Experiment, values: flags.FlagValues, width: int
) -> str:
  """What --help prints."""
  lines = [experiment.doc.strip(), '']
  lines += ['Settings; each takes a comma list, and the sweep is the product:']
  for field in dataclasses.fields(experiment.config):
    lines += _flag_help(values[field.name], field.metadata['choices'], width)
  lines += ['', 'Launching:']
  for name in (*_FLAGS, *_SWITCHES):
    lines += _flag_help(values[name], (), width)
  return '\n'.join(lines)


def _flag_help(flag: flags.Flag, choices: Sequence[str], width: int) -> list:
  text = flag.help
  if not flag.boolean:
    text += f'; default {flag.default}'
  if choices:
    text += f'. One of {", ".join(choices)}'
  return [
    f'  --{flag.name}',
    *textwrap.wrap(
      text,
      width,
      initial_indent=' ' * 6,
      subsequent_indent=' ' * 6,
      break_on_hyphens=False,
    ),
  ]


def read_settings(
  experiment: base.Experiment, values: flags.FlagValues
) -> list[Any]:
  """The product of all comma lists, as Configs; the last flag varies fastest.

  Raises:
    UserError: a value that its knob does not take, an empty list, or a setting
      that the Config refuses.
  """
  fields = dataclasses.fields(experiment.config)
  hints = typing.get_type_hints(experiment.config)
  lists = []
  for field in fields:
    words = str(values[field.name].value).split(',')
    parsed = [
      parsing.knob(field, hints[field.name], word.strip()) for word in words
    ]
    lists.append(list(dict.fromkeys(parsed)))
  names = [field.name for field in fields]
  return [
    experiment.config(**dict(zip(names, point, strict=True)))
    for point in itertools.product(*lists)
  ]


def read_options(values: flags.FlagValues, command: str) -> study.Options:
  """The launcher's own flags, checked.

  Raises:
    UserError: a value that its flag does not take.
  """
  value = {name: str(values[name].value).strip() for name in _FLAGS}
  precision = value['matmul_precision']
  if precision not in _PRECISIONS:
    raise base.UserError(
      f'--matmul_precision={precision}: one of {", ".join(_PRECISIONS)}'
    )
  root_seed = parsing.natural('root_seed', value['root_seed'])
  if root_seed >= keys.SEED_LIMIT:
    raise base.UserError(f'--root_seed={root_seed}: it is under 2**32')
  data_dir = value['data_dir']
  return study.Options(
    seeds=parsing.seeds(value['seeds']),
    root_seed=root_seed,
    lanes=parsing.natural('lanes', value['lanes'], least=1, word='auto'),
    devices=parsing.natural('devices', value['devices'], least=1, word='all'),
    matmul_precision=precision,
    out=pathlib.Path(value['out']).expanduser(),
    data_dir=datasets.default_data_dir() if data_dir == 'auto' else data_dir,
    command=command,
    checkpoint_every=parsing.seconds(
      'checkpoint_every', value['checkpoint_every']
    ),
    clock=time.monotonic,
    uninterrupted=uninterrupted,
    tensorboard=bool(values['tensorboard'].value),
  )


def read_workers(values: flags.FlagValues) -> Workers:
  """How the seeds are shared out.

  Raises:
    UserError: a value that its flag does not take, or flags that contradict
      each other.
  """
  value = {name: str(values[name].value).strip() for name in _FLAGS}
  count = parsing.natural('num_shards', value['num_shards'], least=1)
  if count > _MOST_SHARDS:
    raise base.UserError(f'--num_shards={count}: at most {_MOST_SHARDS}')
  shard = None
  if value['shard_index'] != 'none':
    index = parsing.natural('shard_index', value['shard_index'], word='none')
    if index >= count:
      raise base.UserError(
        f'--shard_index={index}: with --num_shards={count} it is from 0 to '
        f'{count - 1}'
      )
    shard = study.Shard(index, count)
  launcher = value['launcher']
  if launcher not in _LAUNCHERS:
    raise base.UserError(
      f'--launcher={launcher}: one of {", ".join(_LAUNCHERS)}'
    )
  if shard and launcher != 'none':
    raise base.UserError(
      f'--launcher={launcher} starts the worker of every share: leave out '
      '--shard_index'
    )
  distributed = None
  if values['distributed'].value:
    if count > 1 or shard or launcher != 'none':
      raise base.UserError(
        '--distributed shares the seeds among its processes by itself: leave '
        'out --num_shards, --shard_index and --launcher'
      )
    distributed = _processes(value)
  return Workers(count, shard, distributed, launcher, _job(value))


def _job(value: dict[str, str]) -> launchers.Job:
  partition = value['slurm_partition']
  number = lambda name, least: parsing.natural(name, value[name], least)
  return launchers.Job(
    partition='' if partition == 'default' else partition,
    minutes=number('slurm_minutes', 1),
    gpus=number('slurm_gpus', 0),
    cpus=number('slurm_cpus', 1),
  )


def _processes(
  value: dict[str, str],
) -> tuple[str | None, int | None, int | None]:
  """Address, number and id for `launchers.joined`; all given, or none."""
  names = 'coordinator_address', 'num_processes', 'process_id'
  given = [name for name in names if value[name] != 'auto']
  if given and len(given) < len(names):
    raise base.UserError(
      f'--{given[0]}={value[given[0]]}: where one of '
      f'{", ".join("--" + name for name in names)} is given, all are'
    )
  if not given:
    return None, None, None
  address = value['coordinator_address']
  if not re.fullmatch(r'.+:\d+', address):
    raise base.UserError(f'--coordinator_address={address}: it is host:port')
  count = parsing.natural('num_processes', value['num_processes'], least=1)
  index = parsing.natural('process_id', value['process_id'])
  if index >= count:
    raise base.UserError(
      f'--process_id={index}: with --num_processes={count} it is from 0 to '
      f'{count - 1}'
    )
  return address, count, index


# The machine.


def cores() -> int:
  """How many cores this process may use, where the system tells; else all."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def configure(matmul_precision: str, compile_cache: str) -> None:
  """Sets what decides the bits, before the first device is touched."""
  if _DEADLOCKING.match(jaxlib.__version__) and 'NPROC' not in os.environ:
    os.environ['NPROC'] = '16'
    warnings.warn(
      f'jaxlib {jaxlib.__version__} deadlocks on CPUs in vmapped linear '
      'algebra; a larger thread pool (NPROC=16) avoids that, another version '
      'is better',
      stacklevel=2,
    )
  jax.config.update('jax_default_prng_impl', 'threefry2x32')
  jax.config.update('jax_threefry_partitionable', True)
  jax.config.update('jax_default_matmul_precision', matmul_precision)
  with contextlib.suppress(RuntimeError):  # once a backend is up, it stays
    jax.config.update('jax_num_cpu_devices', cores())
  keep = compile_cache != 'none'
  jax.config.update('jax_enable_compilation_cache', keep)
  if keep:
    folder = pathlib.Path(compile_cache).expanduser() / _processor()
    jax.config.update('jax_compilation_cache_dir', str(folder))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def _processor() -> str:
  """A name for what the processor can do.

  Programs compiled for a CPU may hold instructions that another lacks, and JAX
  does not ask: where machines share a home, each kind has a cache of its own.
  """
  try:
    told = pathlib.Path('/proc/cpuinfo').read_text('utf-8')
  except OSError:
    told = platform.processor()
  features = re.search(r'^(?:flags|Features)\b.*$', told, re.MULTILINE)
  text = features[0] if features else told
  digest = hashlib.sha256(text.encode()).hexdigest()
  return f'{platform.machine()}-{digest[:8]}'


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
  """Ctrl-C and SIGTERM wait for the end of this context; a second does not.

  Both then raise KeyboardInterrupt. What the process ignores it still ignores.
  """
  asked = []

  def handler(number: int, frame: Any) -> None:
    del frame
    if asked:
      raise KeyboardInterrupt
    asked.append(number)

  main = threading.current_thread() is threading.main_thread()
  heeded = [
    number
    for number in (signal.SIGINT, signal.SIGTERM)
    if main and signal.getsignal(number) not in (signal.SIG_IGN, None)
  ]
  before = {number: signal.signal(number, handler) for number in heeded}
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old)
  if asked:
    raise KeyboardInterrupt


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
