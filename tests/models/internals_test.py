"""What an audit needs of JAX's internals: each name, for a new JAX to fail."""

import jax
from jax import lax
from jax.extend import core as jaxprs
import jax.numpy as jnp
import pytest

from initlab.models import internals


def _equations(function, *args):
  return jax.make_jaxpr(function)(*args).jaxpr.eqns


def test_equations_have_primitives_params_operands_and_results():
  (equation,) = _equations(lambda x: x * 2.0, jnp.ones(3))
  assert equation.primitive.name == 'mul'
  assert isinstance(equation.params, dict)
  variable, number = equation.invars
  assert variable.aval.shape == (3,) and not internals.is_literal(variable)
  assert internals.is_literal(number) and internals.literal(number) == 2.0
  assert [each.aval.shape for each in equation.outvars] == [(3,)]


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'int32'])
def test_a_literal_keeps_its_dtype(dtype):
  (equation,) = _equations(lambda x: x * 3, jnp.ones(3, dtype))
  assert internals.literal(equation.invars[1]).dtype == dtype


def test_name_stack_is_the_named_scopes():
  def function(x):
    with jax.named_scope('block'), jax.named_scope('up'):
      return jnp.tanh(x)

  (equation,) = _equations(function, 1.0)
  assert internals.name_stack(equation) == 'block/up'


@jax.custom_vjp
def _double(x):
  return 2 * x


_double.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))


@pytest.mark.parametrize(
  ('function', 'names'),
  [
    (jax.jit(jnp.sin), ('jit', 'pjit')),
    (jax.checkpoint(jnp.sin), internals.CHECKPOINTS),
    (jax.nn.relu, internals.CUSTOM),
    (_double, internals.CUSTOM),
  ],
)
def test_calls_hold_the_jaxpr_of_their_last_operands(function, names):
  (equation,) = _equations(function, 1.0)
  while equation.primitive.name not in names:  # `relu` is a jit of its rule.
    (equation,) = internals.called(equation).jaxpr.eqns
  body = internals.called(equation)
  assert isinstance(body, jaxprs.ClosedJaxpr)
  assert len(body.jaxpr.invars) == len(equation.invars) == 1
  assert body.jaxpr in list(internals.inside(equation))


def test_a_call_of_jit_has_the_function_s_name():
  @jax.jit
  def squeeze_and_excite(x):
    return jnp.sin(x)

  (equation,) = _equations(squeeze_and_excite, 1.0)
  assert internals.function_name(equation) == 'squeeze_and_excite'


def test_a_scan_says_how_it_runs():
  step = lambda carry, x: (carry + x, carry)
  function = lambda x: lax.scan(step, 0.0, x, reverse=True, unroll=2)
  (equation,) = _equations(function, jnp.ones(4))
  options = internals.scan_options(equation.params)
  assert options == {'length': 4, 'reverse': True, 'unroll': 2}
  assert len(list(internals.inside(equation))) == 1


def test_a_checkpoint_says_what_it_keeps():
  policy = jax.checkpoint_policies.dots_saveable
  function = jax.checkpoint(jnp.sin, policy=policy, prevent_cse=False)
  (equation,) = _equations(function, 1.0)
  assert internals.checkpoint_options(equation.params) == {
    'policy': policy,
    'prevent_cse': False,
  }


@pytest.mark.parametrize(
  'function',
  [
    jnp.sin,
    lambda x: lax.top_k(x, 2),
    jax.nn.relu,
    jax.jit(jnp.cos),
    jax.checkpoint(jnp.sin),
    lambda x: lax.scan(lambda c, x: (c + x, c), 0.0, x),
    lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
  ],
)
def test_bind_is_the_operation(function):
  x = jnp.asarray([0.5, -1.0, 2.0])
  jaxpr = jax.make_jaxpr(function)(x).jaxpr
  known = dict(zip(jaxpr.invars, [x], strict=True))
  for equation in jaxpr.eqns:
    operands = [
      internals.literal(each) if internals.is_literal(each) else known[each]
      for each in equation.invars
    ]
    outputs = internals.bind(equation.primitive, equation.params, operands)
    known |= dict(zip(equation.outvars, outputs, strict=True))
  for variable, expected in zip(
    jaxpr.outvars, jax.tree.leaves(function(x)), strict=True
  ):
    assert (known[variable] == expected).all()
