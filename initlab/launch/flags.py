"""The command line: defines, describes and reads the flags.

Every flag is a knob of the experiment's Config or of the launcher's Options.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import itertools
import shlex
import typing
from typing import Any

from absl import flags

from initlab import base
from initlab.experiment import Chapter, Collection, Experiment, written
from initlab.launch import parsing
from initlab.launch.options import PRINTED, SELECTION, SHARED, Options
from initlab.report import text as full

_OPTIONS = {field.name: field for field in dataclasses.fields(Options)}

# Of every program; absl reads it.
FLAGFILE = (
  '  --flagfile',
  '      a file of flags, one a line, as a run leaves beside its report; later',
  '      flags override it',
)


def parsed(values: flags.FlagValues, argv: Sequence[str]) -> None:
  """Reads a command line into flags, flagfiles included.

  Raises:
    UserError: a flagfile cannot be read, or a word is not a flag.
    flags.Error: a flag is unknown, or does not take its value.
  """
  try:
    rest = values(expanded(argv))[1:]
  except ValueError as error:  # absl's, of --nojson=true
    raise base.UserError(str(error)) from None
  if rest:
    raise base.UserError(f'{rest[0]!r} is not a flag; --help lists them')


def flag_names(argv: Sequence[str]) -> set[str]:
  """The names of the flags of a command line, see `expanded`.

  Examples:
    >>> sorted(flag_names(['learning', '--model', 'convnet', '--seeds=0:8']))
    ['model', 'seeds']
  """
  starts = [word for word in argv[1:] if word.startswith('-')]
  return {word.lstrip('-').partition('=')[0] for word in starts}


def expanded(argv: Sequence[str]) -> list[str]:
  """A command line with the flags of its flagfiles in their place.

  A file is read once, so it may be a pipe.

  Raises:
    UserError: a flagfile cannot be read.
  """
  read = flags.FlagValues().read_flags_from_files
  try:
    return [argv[0], *read(list(argv[1:]), force_gnu=True)]
  except flags.CantOpenFlagFileError as error:
    reason = str(error).partition('[Errno')[2].partition('] ')[2]
    raise base.UserError(f'--flagfile: {reason}') from None


def of(
  *classes: type, defaults: Mapping[str, str] | None = None
) -> flags.FlagValues:
  """One flag for each knob of classes.

  Args:
    *classes: made by `experiment.config`.
    defaults: flag -> its default, instead of the knob's.
  """
  values = flags.FlagValues()
  for cls in classes:
    for field in dataclasses.fields(cls):
      own = written(field.default)
      _define(values, field, (defaults or {}).get(field.name, own))
  return values


def define_flags(experiment: Experiment) -> flags.FlagValues:
  """One flag for each knob of the Config and of the launcher's Options."""
  return of(experiment.config, Options, defaults=experiment.defaults)


def define_collection_flags(collection: Collection) -> flags.FlagValues:
  """The flags that all its experiments share, and which chapters to run."""
  values = flags.FlagValues()
  flags.DEFINE_string(
    'only',
    'all',
    'chapters whose titles contain one of these words',
    flag_values=values,
  )
  for name in (*SHARED, *PRINTED):
    own = "each chapter's own"
    field = _OPTIONS[name]
    _define(values, field, own if name == 'seeds' else written(field.default))
  if collection.full:
    flags.DEFINE_boolean('full', False, collection.full, flag_values=values)
  return values


def _define(
  values: flags.FlagValues, field: dataclasses.Field, default: str
) -> None:
  """Defines a flag of text; of a boolean, `--on` is true and `--noon` false."""
  flag = flags.Flag(
    flags.ArgumentParser(),
    flags.ArgumentSerializer(),
    field.name,
    default,
    field.metadata['help'],
    boolean=isinstance(field.default, bool),
  )
  flags.DEFINE_flag(flag, values)


def collection_help(
  collection: Collection, values: flags.FlagValues, width: int
) -> str:
  """The --help text of a collection."""
  lines = [collection.doc.strip(), '', 'Chapters:']
  lines += [
    f'  {chapter.title} (python {" ".join(chapter.experiment.program)})'
    for chapter in collection.chapters
  ]
  lines += ['', 'Launching:']
  full = ('full',) if collection.full else ()
  for name in ('only', *SHARED, *full, *PRINTED):
    lines += _flag_help(values[name], width)
  lines += FLAGFILE
  return '\n'.join(lines)


def read_chapters(collection: Collection, only: str) -> tuple[Chapter, ...]:
  """The chapters selected by `--only`, in their order.

  Args:
    collection: the collection.
    only: 'all', or a comma list of words in titles.

  Raises:
    UserError: no title contains a word.
  """
  if only == 'all':
    return collection.chapters
  words = [word.strip().lower() for word in only.split(',')]
  for word in words:
    if not word or not any(
      word in c.title.lower() for c in collection.chapters
    ):
      titles = '; '.join(chapter.title for chapter in collection.chapters)
      raise base.UserError(f'--only={only}: no chapter has {word!r}. {titles}')
  return tuple(
    chapter
    for chapter in collection.chapters
    if any(word in chapter.title.lower() for word in words)
  )


def selection(values: flags.FlagValues) -> str:
  """The flags that select a part of a collection, or other seeds; '' if none.

  Args:
    values: from `define_collection_flags`, read.
  """
  return shlex.join(
    f'--{name}={values[name].value}'
    for name in SELECTION
    if values[name].value != values[name].default
  )


def help_text(
  experiment: Experiment, values: flags.FlagValues, width: int
) -> str:
  """The --help text of an experiment."""
  return '\n'.join(
    [
      experiment.doc.strip(),
      '',
      'Settings; each takes a comma list, and the sweep is the product:',
      *described(values, experiment.config, width),
      '',
      'Launching:',
      *described(values, Options, width),
      *FLAGFILE,
    ]
  )


def described(
  values: flags.FlagValues, cls: type, width: int = 100
) -> list[str]:
  """The help of the flags of a class."""
  return [
    line
    for field in dataclasses.fields(cls)
    for line in _flag_help(values[field.name], width, field.metadata['choices'])
  ]


def _flag_help(
  flag: flags.Flag, width: int, choices: Sequence[str] = ()
) -> list[str]:
  text = f'{flag.help}; default {flag.default}'
  if choices:
    text += f'. One of {", ".join(choices)}'
  margin = ' ' * 6
  return [f'  --{flag.name}', full.wrap(text, width, margin, margin)]


def read_settings(
  experiment: Experiment, values: flags.FlagValues
) -> list[Any]:
  """The product of all comma lists, as Configs; the last flag varies fastest.

  Raises:
    UserError: a knob does not accept a value, a list is empty, or the Config
      refuses a setting.
  """
  texts = {
    field.name: str(values[field.name].value).split(',')
    for field in dataclasses.fields(experiment.config)
  }
  lists = [
    dict.fromkeys(
      _read(experiment.config, {name: word.strip()})[name] for word in words
    )
    for name, words in texts.items()
  ]
  return [
    experiment.config(**dict(zip(texts, point, strict=True)))
    for point in itertools.product(*lists)
  ]


def read_options(values: flags.FlagValues) -> Options:
  """The launcher's own flags, checked.

  Raises:
    UserError: a flag does not accept its value, or flags contradict each other.
  """
  return Options(**read(Options, values))


def read(
  cls: type, values: flags.FlagValues, names: Iterable[str] = ()
) -> dict[str, Any]:
  """The parsed values of knobs of a class, of all if no names are given.

  Raises:
    UserError: a knob does not accept its value.
  """
  names = names or [field.name for field in dataclasses.fields(cls)]
  return _read(cls, {name: str(values[name].value) for name in names})


def _read(cls: type, texts: Mapping[str, str]) -> dict[str, Any]:
  """Parses the values of the knobs of a class."""
  fields = {field.name: field for field in dataclasses.fields(cls)}
  hints = typing.get_type_hints(cls)
  return {
    name: parsing.knob(fields[name], hints[name], text.strip())
    for name, text in texts.items()
  }
