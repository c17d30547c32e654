"""Converters round to their own levels, saturate, and pass gradients straight through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.crossbar import converters
from spinloom.errors import UserError
from spinloom.streams import generator

EVERY = [(bits, signed) for bits in (1, 2, 3, 5, 8, 12, 16) for signed in (False, True)]
SCALE = 0.7  # not a power of two: nothing is exact by luck


def dense(signed, count=20001):
    """Return inputs from beyond one end of the range to beyond the other, exactly symmetric if signed."""
    half = np.linspace(0, 1.3 * SCALE, count, dtype=np.float32)
    return np.concatenate([-half[:0:-1], half] if signed else [-half[count // 4 : 0 : -1], half])


@pytest.mark.parametrize("bits,signed", EVERY)
def test_levels_are_uniform_and_all_of_them(bits, signed):
    """2^bits levels from 0 to full scale, or 2^bits - 1 around 0; one signed bit: two."""
    count = 2**bits - (signed and bits > 1)
    found = np.unique(converters.quantise(dense(signed, 2**18), bits, SCALE, signed))
    expected = np.linspace(-SCALE if signed else 0.0, SCALE, count)
    assert converters.levels(bits, signed) == count == len(found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    assert found[-1] == np.float32(SCALE) and (signed and bits == 1 or 0.0 in found)


@pytest.mark.parametrize("bits,signed", EVERY)
def test_rounding_is_idempotent_monotone_and_within_half_a_step(bits, signed):
    x = dense(signed)
    once = np.asarray(converters.quantise(x, bits, SCALE, signed))
    np.testing.assert_array_equal(np.asarray(converters.quantise(once, bits, SCALE, signed)), once)
    assert np.all(np.diff(once) >= 0)
    step = (2 if signed else 1) * SCALE / (converters.levels(bits, signed) - 1)
    inside = np.clip(x, -SCALE if signed else 0.0, SCALE)
    # float32: a unit in the last place of the full scale
    assert np.max(np.abs(once - inside)) <= step / 2 + 1e-7
    assert once.dtype == np.float32 and once.shape == x.shape
    if signed and bits > 1:
        np.testing.assert_array_equal(once, -once[::-1])


@pytest.mark.parametrize("bits,signed", EVERY)
def test_gradient_is_one_inside_and_zero_outside(bits, signed):
    low = -SCALE if signed else 0.0
    x = jnp.array([low - 0.01, low, 0.5 * SCALE, SCALE, SCALE + 0.01], jnp.float32)
    slope = jax.grad(lambda x: jnp.sum(jnp.arange(1.0, 6.0) * converters.quantise(x, bits, SCALE, signed)))(x)
    assert slope.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]
    _, forward = jax.jvp(lambda x: converters.quantise(x, bits, SCALE, signed), (x,), (jnp.ones(5),))
    assert forward.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert jax.grad(lambda scale: jnp.sum(converters.quantise(x, bits, scale, signed)))(SCALE) == 0.0


@pytest.mark.parametrize("bits", range(2, 15))
def test_signal_to_noise_of_a_sine(bits):
    """Bennett: 6.02 b + 1.76 dB, less the code that a mid-tread converter leaves out.

    Tolerance, one-sided: the sine lingers at its extremes, which are levels, for a share of time that goes with the
    root of the step, and the error there is small. Measured 2.3 2^(-b/2) dB at 2 bits, 1.4 to 1.7 from 4 to 14.
    """
    phase = 2 * np.pi * (np.arange(2**17) + 0.5) * 10007 / 2**17  # whole periods, prime to the number of samples
    sine = np.sin(phase).astype(np.float32)
    error = np.asarray(converters.quantise(sine, bits, 1.0, True), np.float64) - sine
    found = 10 * np.log10(np.mean(np.float64(sine) ** 2) / np.mean(error**2))
    ideal = 20 * np.log10(2) * bits + 10 * np.log10(1.5)
    assert ideal == pytest.approx(6.02 * bits + 1.76, rel=0, abs=0.02)
    assert 0 < found - (ideal + 20 * np.log10(1 - 2.0 ** (1 - bits))) < 2.5 * 2 ** (-bits / 2)


def test_saturation_nan_and_no_converter():
    x = jnp.array([-jnp.inf, -2.0, jnp.nan, 2.0, jnp.inf], jnp.float32)
    for bits in (1, 4):
        found = np.asarray(converters.quantise(x, bits, 0.5, True))
        np.testing.assert_array_equal(found, np.float32([-0.5, -0.5, np.nan, 0.5, 0.5]))
    np.testing.assert_array_equal(np.asarray(converters.quantise(x, 4, 1.0, False)), np.float32([0, 0, np.nan, 1, 1]))
    np.testing.assert_array_equal(np.asarray(converters.quantise(x, None, 0.5, True)), np.asarray(x))
    assert jax.grad(lambda x: converters.quantise(x, None, 0.5, True))(3.0) == 1.0


def test_the_top_level_is_the_full_scale_to_the_last_bit():
    scale = jnp.asarray(10 ** generator(1, "scales").uniform(-7, 3, 1000), jnp.float32)
    for bits, signed in EVERY:
        np.testing.assert_array_equal(converters.quantise(2 * scale, bits, scale, signed), scale)


def test_known_codes():
    x = jnp.array([-1.0, -0.51, -0.1, 0.0, 0.17, 0.34, 0.9], jnp.float32)
    np.testing.assert_allclose(converters.quantise(x, 3, 1.0, True), np.array([-3, -2, 0, 0, 1, 1, 3]) / 3, 0, 1e-7)
    np.testing.assert_allclose(converters.quantise(x, 2, 1.0, False), np.array([0, 0, 0, 0, 1, 1, 3]) / 3, 0, 1e-7)
    assert converters.quantise(x, 1, 2.0, True).tolist() == [-2.0, -2.0, -2.0, 2.0, 2.0, 2.0, 2.0]


def test_a_scale_per_column_inside_compiled_code():
    x = jnp.asarray(generator(1, "converters").normal(size=(5, 3)), jnp.float32)
    scale = jnp.array([[0.5, 1.0, 2.0]], jnp.float32)
    found = jax.jit(lambda x, scale: converters.quantise(x, 4, scale, True))(x, scale)
    for j in range(3):
        np.testing.assert_allclose(
            found[:, j], converters.quantise(x[:, j], 4, float(scale[0, j]), True), rtol=0, atol=1e-7
        )
    slope = jax.jit(jax.grad(lambda x: jnp.sum(converters.quantise(x, 4, scale, True))))(x)
    np.testing.assert_array_equal(slope, np.abs(x) <= scale)


@pytest.mark.parametrize("bits", [0, 17, -1, 3.0, True, "8"])
def test_refuses_bits(bits):
    with pytest.raises(UserError, match=r"converters: bits: found .*, allowed: null \(ideal\) or a whole number of 1"):
        converters.quantise(jnp.zeros(2), bits, 1.0, True)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_scales(scale):
    with pytest.raises(UserError, match="converters: full_scale: found .*, allowed: finite, more than 0"):
        converters.quantise(jnp.zeros(2), 8, scale, True)
