"""The architecture is a test: who may import whom, and who may do what."""

import ast
import configparser
import functools
import itertools
import pathlib
import re
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]

# science < engine < report < launch < experiments: a room imports only rooms to
# its left. What lies flat in the package, and the instruments, are the science,
# but for `lab`, which a notebook calls where a shell would start a program.
_ROOMS = ('science', 'engine', 'report', 'launch', 'experiments')

# Packages that a plain import may load.
_CHEAP = {'jax', 'jaxlib', 'numpy', 'optax', 'chex', 'absl'}

# Packages of extras, and of callers: nothing works without them only where a
# flag or a caller asks for them.
_ASKED_FOR = {
  *('sklearn', 'submitit', 'ray', 'tensorboardX', 'IPython'),
  *('flax', 'equinox'),
}


def _name(path):
  """'initlab.report.tables' of its path."""
  parts = path.relative_to(_ROOT).with_suffix('').parts
  return '.'.join(part for part in parts if part != '__init__')


_PATHS = {
  _name(path): path
  for folder in ('initlab', 'experiments')
  for path in sorted((_ROOT / folder).rglob('*.py'))
}
_TREES = {
  name: ast.parse(path.read_text('utf-8')) for name, path in _PATHS.items()
}


def _room(name):
  package, _, rest = name.partition('.')
  folder = rest.partition('.')[0]
  if package == 'experiments':
    return package
  if folder == 'lab':
    return 'launch'
  return folder if folder in _ROOMS else 'science'


def _imports(name, tree):
  """Dotted names that a module imports, those of `from` with what."""
  package = name if _PATHS[name].stem == '__init__' else name.rpartition('.')[0]
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ''
      if node.level:
        above = package.split('.')[: len(package.split('.')) - node.level + 1]
        base = '.'.join([*above, *filter(None, [node.module])])
      yield from (f'{base}.{alias.name}' for alias in node.names)


def _modules(name):
  """Our modules that a module imports."""
  for imported in _imports(name, _TREES[name]):
    while imported:
      if imported in _TREES:
        yield imported
        break
      imported = imported.rpartition('.')[0]


@functools.cache
def _attributes(tree):
  """Dotted names such as `jax.random.split` that appear in a syntax tree."""
  return [
    ast.unparse(node)
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute)
  ]


@pytest.mark.parametrize('name', _TREES)
def test_imports_only_rooms_to_its_left(name):
  room = _ROOMS.index(_room(name))
  for imported in _modules(name):
    assert _ROOMS.index(_room(imported)) <= room, f'{name} imports {imported}'


def test_modules_form_no_circle():
  left = {
    name: set(_modules(name)) - {name}
    for name, path in _PATHS.items()
    if path.stem != '__init__'
  }
  left = {name: found & left.keys() for name, found in left.items()}
  while left:
    ready = {name for name, found in left.items() if not found & left.keys()}
    assert ready, f'a circle among {sorted(left)}'
    left = {name: found for name, found in left.items() if name not in ready}


def test_base_imports_none_of_ours():
  assert not list(_modules('initlab.base'))


def test_an_experiment_imports_the_library_and_its_own_folder():
  for name in _TREES:
    folder = name.rpartition('.')[0]
    for imported in _modules(name):
      if _room(name) == _room(imported) == 'experiments':
        own = imported.startswith(folder)
        collection = name.endswith('__main__')
        assert own or collection, f'{name} imports {imported}'


def test_an_experiment_imports_its_neighbours_relatively():
  """So that it runs as `experiments.x` and, installed, as a part of initlab."""
  for name, tree in _TREES.items():
    for node in ast.walk(tree):
      if isinstance(node, ast.ImportFrom) and not node.level:
        assert (node.module or '').partition('.')[0] != 'experiments', name


@pytest.mark.parametrize('name', _TREES)
def test_a_plain_import_is_cheap(name):
  tree = ast.parse(_PATHS[name].read_text('utf-8'))
  tree.body = [
    node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
  ]
  tops = {each.partition('.')[0] for each in _imports(name, tree)}
  ours = {'initlab', 'experiments'}
  assert tops <= _CHEAP | ours | set(sys.stdlib_module_names)


def test_whatever_is_imported_is_installed():
  config = configparser.ConfigParser()
  config.read(_ROOT / 'setup.cfg')
  required = re.findall(
    r'^[\w-]+', config['options']['install_requires'], re.MULTILINE
  )
  known = {each.replace('absl-py', 'absl') for each in required}
  known |= {'initlab', 'experiments', *_ASKED_FOR, *sys.stdlib_module_names}
  for name, tree in _TREES.items():
    tops = {each.partition('.')[0] for each in _imports(name, tree)}
    assert tops <= known, f'{name} imports {tops - known}'


@pytest.mark.parametrize(
  ('what', 'where'),
  [
    ('jax.random.fold_in', 'initlab.keys'),
    ('jax.random.key', 'initlab.keys'),
    ('jax.config', 'initlab.launch.machine'),
    ('os.replace', 'initlab.engine.files'),
    ('jax.random.split', 'nowhere'),
    ('jax.random.PRNGKey', 'nowhere'),
    ('jax.debug.callback', 'nowhere'),
    ('jax.pure_callback', 'nowhere'),
    ('pickle.', 'nowhere'),
  ],
)
def test_only_one_module_may(what, where):
  for name, tree in _TREES.items():
    users = [
      each
      for each in _attributes(tree)
      if each == what or each.startswith(what.rstrip('.') + '.')
    ]
    assert not users or name == where, f'{name} uses {users[0]}'


def test_digits_of_a_table_are_of_formatting():
  for name, tree in _TREES.items():
    if name.startswith('initlab.report') and '.plots' not in name:
      specs = [
        ast.unparse(each.format_spec)
        for each in ast.walk(tree)
        if isinstance(each, ast.FormattedValue) and each.format_spec
      ]
      assert not any('.4g' in each for each in specs), name


@pytest.mark.parametrize(
  ('library', 'where'),
  [
    ('matplotlib', 'initlab.report.plots'),
    ('jinja2', 'initlab.report'),
    ('absl', 'initlab.launch'),
  ],
)
def test_only_one_room_imports(library, where):
  for name, tree in _TREES.items():
    for each in _imports(name, tree):
      if each.partition('.')[0] == library:
        assert name.startswith(where), f'{name} imports {each}'


@pytest.mark.parametrize('name', _TREES)
def test_says_what_it_is_for(name):
  tree = _TREES[name]
  assert ast.get_docstring(tree)
  for node in itertools.chain.from_iterable(
    [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef))]
  ):
    public = isinstance(node, ast.FunctionDef | ast.ClassDef)
    if public and not node.name.startswith('_'):
      assert ast.get_docstring(node), f'{name}: {node.name}'


def test_the_map_of_models_names_every_module():
  words = re.findall(r'\w+', ast.get_docstring(_TREES['initlab.models']))
  prefix = 'initlab.models.'
  modules = {n.removeprefix(prefix) for n in _TREES if n.startswith(prefix)}
  assert modules - set(words) == set()


def test_a_wheel_has_every_package():
  """setup.cfg lists them, since two folders make one."""
  config = configparser.ConfigParser()
  config.read(_ROOT / 'setup.cfg')
  listed = config['options']['packages'].split()
  parents = {
    path.parent.relative_to(_ROOT)
    for folder in ('initlab', 'experiments')
    for path in (_ROOT / folder).rglob('__init__.py')
  }
  names = ['.'.join(parent.parts) for parent in parents]
  within = lambda name: (
    name if name.startswith('initlab') else f'initlab.{name}'
  )
  assert sorted(map(within, names)) == sorted(listed)
