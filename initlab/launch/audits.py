"""The program `audit`: any JAX model, from a shell.

    python -m experiments.audit --model=my_module:make --expect=laws.toml

Exit status 0 where nothing is wrong, 3 on findings, 1 where there are too few
seeds for those that count; see `shell.STATUSES`.
"""

from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import re
import shlex
import sys
import typing

import jax
import numpy as np

from initlab import base
from initlab.engine import files
from initlab.experiment import config, knob
from initlab.launch import flags, machine, parsing, shell
from initlab.launch.options import OF_FILES, Common
from initlab.models import audit as audits, examples, finding, made, verdict
from initlab.report import as_json, audits as reports, replay

FOUND = 3  # exit status on findings


def _kinds(value: str) -> str:
  """Kinds of findings as a comma list, or 'all' or 'none'."""
  if value in ('all', 'none'):
    return value
  kinds = [kind.strip() for kind in value.split(',')]
  for kind in kinds:
    base.lookup(finding.KINDS, 'kind of finding', kind)
  return ','.join(kinds)


def _counted(fail_on: str) -> tuple[str, ...]:
  """The kinds that `--fail_on` counts."""
  if fail_on == 'none':
    return ()
  return tuple(finding.KINDS if fail_on == 'all' else fail_on.split(','))


@config
class Options(Common):
  """What is audited, and how."""

  model: str = knob(
    ','.join(examples.MODELS),
    'a comma list of models: of the lab (transformer, convnet), or your own as '
    'my_module:make, where make() returns (init, model, batch): init(key) -> '
    'params, model(params, *batch) -> output or loss, batch a tuple or a '
    'function (key, size) -> tuple. Its knobs follow: my_module:make:width=64',
  )
  seeds: np.ndarray = knob(
    '0:32',
    'the initializations: 0:32 for thirty-two, 17 for a single one, 0:8,17',
    read=parsing.seeds,
  )
  lanes: int = knob(1, 'how many seeds are measured at once', least=1)
  expect: str = knob(
    'none',
    'a TOML file of declared laws, pattern of leaves = law, as in '
    "'*/out/kernel' = 'normal(.02 / sqrt(2 * L))'",
  )
  fail_on: str = knob(
    'all',
    'which findings make the exit status 3: a comma list of '
    f'{", ".join(finding.KINDS)}; all, or none',
    read=_kinds,
  )


def audit(
  doc: str, program: Sequence[str], argv: Sequence[str] | None = None
) -> typing.NoReturn:
  """Runs the program and exits.

  Args:
    doc: what --help begins with.
    program: what starts it, behind `python`.
    argv: the command line, `sys.argv` if None.
  """
  shell.exit_with('audit', functools.partial(_audit, doc, program), argv)


def _audit(doc: str, program: Sequence[str], argv: Sequence[str]) -> None:
  values = flags.of(Options)
  if shell.HELP & set(argv[1:]):
    print(
      '\n'.join(
        [
          doc.strip(),
          '',
          *flags.described(values, Options),
          *flags.FLAGFILE,
          shell.statuses(FOUND),
        ]
      )
    )
    return
  flags.parsed(values, argv)
  options = Options(**flags.read(Options, values))
  machine.configure(options.matmul_precision, options.compile_cache)
  audited = {name: _made(name) for name in options.model.split(',')}
  command = shlex.join(['python', *program, *argv[1:]])
  found = [
    _report(name, model, options, program, command)
    for name, model in audited.items()
  ]
  if options.json:
    content = [reports.as_dict(*each) for each in found]
    print(as_json.document('audit', {'audits': content}), end='')
  counted = _counted(options.fail_on)
  if any(
    each.kind in counted for _, _, findings, _ in found for each in findings
  ):
    sys.exit(FOUND)
  for _, model_audit, _, _ in found:
    verdict.require_judged(model_audit, counted)


def _made(name: str) -> made.Made:
  """The model of a name.

  Raises:
    UserError: there is none.
  """
  try:
    return made.make(name)
  except base.UserError as error:
    raise base.UserError(f'--model={name}: {error}') from None


def _report(
  name: str,
  model: made.Made,
  options: Options,
  program: Sequence[str],
  command: str,
) -> tuple[str, audits.Audit, tuple[finding.Finding, ...], dict[str, str]]:
  """Audits one model, writes its files and prints its report.

  Returns:
    What `report.audits.as_dict` takes.
  """
  found = audits.audit(
    model.init,
    model.model,
    model.batch,
    seeds=options.seeds,
    root_seed=options.root_seed,
    lanes=options.lanes,
  )
  expect = None if options.expect == 'none' else options.expect
  findings = verdict.findings(found, expect)
  words = re.sub(r'[^\w.]+', '-', name).strip('-')
  flags_ = _flagfile(name, options, program)
  digest = hashlib.sha256(flags_.encode())
  place = options.out / 'audit' / f'{words}-{digest.hexdigest()[:8]}'
  facts = {
    'command': command,
    **reports.seeds(found),
    'page': str(place / 'report.html'),
    'rows': str(place / 'rows.parquet'),
    'JSON': str(place / 'report.json'),
    'flags': str(place / replay.NAME),
    'replay': replay.command(program, str(place / replay.NAME)),
  }
  files.write_text(place / replay.NAME, flags_)
  reports.write(name, found, findings, facts, place)
  if not options.json:
    print(f'audit: {name}\n')
    width, verbose = shell.columns(), options.verbose
    print(reports.text(found, findings, facts, width, verbose=verbose))
  return name, found, findings, facts


def _flagfile(name: str, options: Options, program: Sequence[str]) -> str:
  """The flags that decide what is found, of one model, defaults included."""
  found = {
    field.name: str(getattr(options, field.name))
    for field in dataclasses.fields(options)
    if field.name not in OF_FILES and not isinstance(field.default, bool)
  }
  found |= {'seeds': replay.seeds_written(options.seeds), 'model': name}
  versions = f'jax {jax.__version__}, on {jax.devices()[0].device_kind}'
  return replay.text(program, found, versions)
