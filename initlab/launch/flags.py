"""The command line: which flags there are, and what they ask for."""

from collections.abc import Sequence
import dataclasses
import functools
import itertools
import pathlib
import re
import textwrap
import time
import typing
from typing import Any, NamedTuple

from absl import flags

from initlab import base, keys, published
from initlab.engine import study
from initlab.experiment import Chapter, Collection, Experiment, written
from initlab.launch import machine, parsing, workers

# The most workers of one study; SLURM's own arrays are smaller.
_MOST_SHARDS = 2**16

_LAUNCHERS = ('none', 'slurm', 'local', 'ray')

# Flags that say where a study runs, not what it is.
PLACES = ('num_shards', 'shard_index', 'launcher')
PLACES += ('slurm_partition', 'slurm_minutes', 'slurm_gpus', 'slurm_cpus')

# Flags that a collection hands to all its experiments.
SHARED = ('seeds', 'root_seed', 'lanes', 'devices', 'matmul_precision')
SHARED += ('checkpoint_every', 'out', 'data_dir', 'compile_cache')

_PRECISIONS = ('highest', 'high', 'default')

# name -> (default, help)
FLAGS = {
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
  job: workers.Job


# The command line.


def define_flags(experiment: Experiment) -> flags.FlagValues:
  """One flag a knob of the Config, and those of the launcher."""
  values = flags.FlagValues()
  for field in dataclasses.fields(experiment.config):
    flags.DEFINE_string(
      field.name,
      experiment.defaults.get(field.name, written(field.default)),
      field.metadata['help'],
      flag_values=values,
      module_name='setting',
    )
  for name, (default, text) in FLAGS.items():
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


def define_collection_flags(program: Collection) -> flags.FlagValues:
  """Those that all its experiments take, and which chapters to run."""
  values = flags.FlagValues()
  define = functools.partial(
    flags.DEFINE_string, flag_values=values, module_name='launch'
  )
  define('only', 'all', 'chapters whose titles have one of these words')
  for name in SHARED:
    own = "each chapter's own" if name == 'seeds' else FLAGS[name][0]
    define(name, own, FLAGS[name][1])
  switches = {'dry_run': _SWITCHES['dry_run']}
  if program.full:
    switches['full'] = program.full
  for name, text in switches.items():
    flags.DEFINE_boolean(
      name, False, text, flag_values=values, module_name='launch'
    )
  return values


def collection_help(
  program: Collection, values: flags.FlagValues, width: int
) -> str:
  """What --help prints of a collection."""
  lines = [program.doc.strip(), '', 'Chapters:']
  lines += [
    f'  {chapter.title} (python {" ".join(chapter.experiment.program)})'
    for chapter in program.chapters
  ]
  lines += ['', 'Launching:']
  full = ('full',) if program.full else ()
  for name in ('only', *SHARED, *full, 'dry_run'):
    lines += _flag_help(values[name], (), width)
  return '\n'.join(lines)


def read_chapters(program: Collection, only: str) -> tuple[Chapter, ...]:
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
  experiment: Experiment, values: flags.FlagValues, width: int
) -> str:
  """What --help prints."""
  lines = [experiment.doc.strip(), '']
  lines += ['Settings; each takes a comma list, and the sweep is the product:']
  for field in dataclasses.fields(experiment.config):
    lines += _flag_help(values[field.name], field.metadata['choices'], width)
  lines += ['', 'Launching:']
  for name in (*FLAGS, *_SWITCHES):
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
  experiment: Experiment, values: flags.FlagValues
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
  value = {name: str(values[name].value).strip() for name in FLAGS}
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
    data_dir=published.default_data_dir() if data_dir == 'auto' else data_dir,
    command=command,
    checkpoint_every=parsing.seconds(
      'checkpoint_every', value['checkpoint_every']
    ),
    clock=time.monotonic,
    uninterrupted=machine.uninterrupted,
    tensorboard=bool(values['tensorboard'].value),
    from_files=machine.from_files(),
  )


def read_workers(values: flags.FlagValues) -> Workers:
  """How the seeds are shared out.

  Raises:
    UserError: a value that its flag does not take, or flags that contradict
      each other.
  """
  value = {name: str(values[name].value).strip() for name in FLAGS}
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


def _job(value: dict[str, str]) -> workers.Job:
  partition = value['slurm_partition']
  number = lambda name, least: parsing.natural(name, value[name], least)
  return workers.Job(
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
