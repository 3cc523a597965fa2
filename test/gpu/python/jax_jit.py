# needs: jax
# timeout: 180
"""JAX: compiled functions, gradients, convolutions, loops and random numbers on the GPU."""
import os

os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") +
                           " --xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0")
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy  # noqa: E402

from shared.digest import report  # noqa: E402

assert jax.devices()[0].platform == "gpu", jax.devices()
key = jax.random.PRNGKey(0)
x = jax.random.normal(key, (64, 32))
w = jax.random.normal(jax.random.fold_in(key, 1), (32, 8)) * 0.1
report("random", numpy.asarray(x))


@jax.jit
def loss(w):
    return jnp.mean(jnp.square(jnp.tanh(x @ w) - 0.5))


@jax.jit
def train(w):
    return jax.lax.fori_loop(0, 100, lambda _, w: w - 0.5 * jax.grad(loss)(w), w)


trained = train(w)
assert loss(trained) < loss(w)
report("trained", numpy.asarray(trained))
whole = numpy.arange(64 * 64, dtype=numpy.float32).reshape(64, 64) % 7 - 3
assert numpy.array_equal(numpy.asarray(jax.jit(jnp.matmul)(whole, whole)), whole @ whole)
image, window = whole.reshape(1, 1, 64, 64), whole[:3, :3].reshape(1, 1, 3, 3)
convolved = jax.jit(lambda a, b: jax.lax.conv(a, b, (1, 1), "SAME"))(image, window)
report("convolved", numpy.asarray(convolved))
report("sorted", numpy.asarray(jax.jit(jnp.sort)(x)))
