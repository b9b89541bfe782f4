"""The parts of JAX that an audit needs and JAX keeps for itself.

A jaxpr is public (`jax.extend.core`); what its equations hold is not promised.
Every name that may move stands here, and `tests/models/internals_test.py` names
each, so that a new JAX which lacks one fails there and says so.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.extend import core as jaxprs
import jax.numpy as jnp

# Operations that apply a jaxpr to their operands -> the parameter that holds
# it. The jaxpr's inputs are the last operands.
_CALLS = {
  'jit': 'jaxpr',
  'pjit': 'jaxpr',
  'closed_call': 'call_jaxpr',
  'core_call': 'call_jaxpr',
  'checkpoint': 'jaxpr',
  'remat': 'jaxpr',
  'remat2': 'jaxpr',
  'custom_jvp_call': 'call_jaxpr',
  'custom_vjp_call': 'call_jaxpr',
  'custom_vjp_call_jaxpr': 'fun_jaxpr',
  'custom_vmap_call': 'call',
}

CHECKPOINTS = ('checkpoint', 'remat', 'remat2')

# Calls with a rule of derivation of their own.
CUSTOM = (
  'custom_jvp_call',
  'custom_vjp_call',
  'custom_vjp_call_jaxpr',
  'custom_vmap_call',
)


def closed(jaxpr: Any) -> jaxprs.ClosedJaxpr:
  """The jaxpr with its constants; one without has none."""
  if isinstance(jaxpr, jaxprs.ClosedJaxpr):
    return jaxpr
  return jaxprs.ClosedJaxpr(jaxpr, ())


def called(equation: jaxprs.JaxprEqn) -> jaxprs.ClosedJaxpr | None:
  """The jaxpr that an equation calls once, if it is such a call."""
  name = _CALLS.get(equation.primitive.name)
  found = equation.params.get(name) if name else None
  return None if found is None else closed(found)


def shape(atom: Any) -> tuple[int, ...]:
  """The shape of an operand or a result of an equation."""
  return atom.aval.shape


def is_literal(atom: Any) -> bool:
  """Whether an operand of an equation is a number rather than a variable."""
  return isinstance(atom, jaxprs.Literal)


def literal(atom: Any) -> jax.Array:
  """The number."""
  return jnp.asarray(atom.val, atom.aval.dtype)


def inside(equation: jaxprs.JaxprEqn) -> Iterator[jaxprs.Jaxpr]:
  """Every jaxpr among an equation's parameters."""
  for value in equation.params.values():
    for each in value if isinstance(value, tuple | list) else (value,):
      if isinstance(each, jaxprs.ClosedJaxpr):
        yield each.jaxpr
      elif isinstance(each, jaxprs.Jaxpr):
        yield each


def primitives(jaxpr: jaxprs.Jaxpr) -> Iterator[str]:
  """Names of the primitives of a jaxpr, with those of every jaxpr inside."""
  for equation in jaxpr.eqns:
    yield equation.primitive.name
    for body in inside(equation):
      yield from primitives(body)


def function_name(equation: jaxprs.JaxprEqn) -> str:
  """What the function is called that a `jit` equation calls; else ''."""
  is_jit = equation.primitive.name in ('jit', 'pjit')
  return str(equation.params.get('name', '')) if is_jit else ''


def name_stack(equation: jaxprs.JaxprEqn) -> str:
  """The `jax.named_scope`s that an equation was traced in, as 'block/attn'."""
  return str(equation.source_info.name_stack)


def scan_options(params: dict[str, Any]) -> dict[str, Any]:
  """How a scan runs, as keyword arguments of `jax.lax.scan`."""
  return {name: params[name] for name in ('length', 'reverse', 'unroll')}


def checkpoint_options(params: dict[str, Any]) -> dict[str, Any]:
  """What a checkpoint keeps, as keyword arguments of `jax.checkpoint`."""
  return {name: params[name] for name in ('policy', 'prevent_cse')}


def bind(
  primitive: jaxprs.Primitive, params: dict[str, Any], operands: Sequence[Any]
) -> list[jax.Array]:
  """The outputs of an operation on these operands."""
  bound = primitive.get_bind_params(params)
  if isinstance(bound, tuple):  # Until JAX 0.9.1: functions, then parameters.
    outputs = primitive.bind(*bound[0], *operands, **bound[1])
  else:
    outputs = primitive.bind(*operands, **bound)
  return list(outputs) if primitive.multiple_results else [outputs]
