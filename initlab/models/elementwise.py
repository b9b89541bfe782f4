"""Elementwise operations: which they are, and functions made of several."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.models import internals
from initlab.models.program import Constant, Operation


def _words(text: str) -> frozenset[str]:
  return frozenset(text.split())


# Each entry of the output depends on the same entry of every operand.
_ELEMENTWISE = _words("""
  add add_any sub mul div max min neg exp exp2 log log1p expm1 tanh logistic
  erf erfc erf_inv sin cos tan asin acos atan abs sign sqrt rsqrt cbrt
  integer_pow pow square select_n eq ne lt le gt ge and or not xor is_finite
  clamp convert_element_type copy stop_gradient atan2 asinh acosh atanh sinh
  cosh nextafter rem floor ceil round
""")

# The entries stay what they are; their places may change.
LAYOUT = _words("""
  reshape transpose broadcast_in_dim squeeze expand_dims copy copy_p rev
  convert_element_type sharding_constraint optimization_barrier name
  reduce_precision device_put mesh_cast reshard
""")


def is_elementwise(operation: Operation) -> bool:
  """Whether it is, or is a call of elementwise operations only."""
  return len(operation.outputs) == 1 and _elementwise(operation.equation)


def _elementwise(equation: Any) -> bool:
  if equation.primitive.name in _ELEMENTWISE:
    return True
  if equation.primitive.name == 'broadcast_in_dim':
    return equation.invars[0].aval.shape == ()
  body = internals.called(equation)
  return body is not None and all(map(_elementwise, body.jaxpr.eqns))


def function(
  operations: Sequence[Operation], source: int, result: int
) -> Callable[[jax.Array, Mapping[int, Any]], jax.Array]:
  """The function of arrays of any shape that elementwise operations make.

  Args:
    operations: in order, all elementwise or, of scalars, layout.
    source: its argument.
    result: its result.

  Returns:
    `(t, scalars) -> f(t)`, scalars the values of other variables; custom rules
    of derivation are not kept.
  """

  def apply(t: jax.Array, scalars: Mapping[int, Any]) -> jax.Array:
    found = {**scalars, source: t}
    for operation in operations:
      operands = [
        each.value if isinstance(each, Constant) else found[each]
        for each in operation.inputs
      ]
      (found[operation.outputs[0]],) = evaluate(operation.equation, operands)
    return jnp.broadcast_to(found[result], t.shape)

  return apply


def evaluate(equation: Any, operands: Sequence[Any]) -> list[jax.Array]:
  """The output of an elementwise equation for operands of one shape or none.

  Real numbers are float32 throughout, whatever the program makes of them.
  """
  name, params = equation.primitive.name, equation.params
  operands = [_widened(each) for each in operands]
  if name == 'convert_element_type':
    return [_widened(operands[0].astype(params['new_dtype']), operands[0])]
  if name in LAYOUT:
    return operands[:1]
  body = internals.called(equation)
  if body is None:
    shape = jnp.broadcast_shapes(*(each.shape for each in operands))
    alike = [jnp.broadcast_to(each, shape) for each in operands]
    return internals.bind(equation.primitive, params, alike)
  found = dict(zip(body.jaxpr.constvars, body.consts, strict=True))
  variables = body.jaxpr.invars
  given = operands[len(operands) - len(variables) :]
  found |= dict(zip(variables, given, strict=True))
  read = lambda atom: (
    internals.literal(atom) if internals.is_literal(atom) else found[atom]
  )
  for inner in body.jaxpr.eqns:
    outputs = evaluate(inner, [read(atom) for atom in inner.invars])
    found |= dict(zip(inner.outvars, outputs, strict=True))
  return [_widened(read(atom)) for atom in body.jaxpr.outvars]


def _widened(x: Any, real: jax.Array | None = None) -> jax.Array:
  """In float32 if it is real: not rounded, if `real` is what it was before."""
  x = jnp.asarray(x)
  if not jnp.issubdtype(x.dtype, jnp.floating):
    return x
  if real is not None and jnp.issubdtype(real.dtype, jnp.floating):
    return real
  return x.astype(jnp.float32)
