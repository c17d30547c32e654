"""The stray field that is extrapolated: which temperature it leaves to spin waves, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from device_sims.engines.llg import check, extrapolation, stability
from device_sims.engines.llg.fields import demag
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from spinloom.errors import UserError


def film(alpha, dt, interval, temperature=300.0, **numerics):
    return Problem(
        Mesh(64, 16, (5e-9, 5e-9, 5e-9)), Geometry(), Material(8e5, 1.3e-11, alpha), (Phase("wait", 1e-10),),
        Initial("uniform", (1.0, 0.0, 0.0)), temperature, Numerics(dt, "fdr4", "float32", interval, **numerics), 1e-10,
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["fdr4", "heun", "rk4"])
def test_without_a_stray_field_it_is_the_temperature_of_the_scheme(scheme):
    x = np.array([0.1, 0.4, 0.9, 1.5])
    for alpha, interval in ((0.3, 1), (0.05, 3)):
        expected = stability.temperature_ratio(scheme, alpha, x)
        found = extrapolation.temperature_ratio(scheme, alpha, x, np.zeros(4), interval)
        sound = (expected > 0) & np.isfinite(expected)
        assert sound.any()
        np.testing.assert_allclose(found[sound], expected[sound], rtol=1e-9)
        assert np.isinf(found[~sound]).all()


@pytest.mark.parametrize("share", [-0.04, 0.04])
def test_the_ratio_is_that_of_simulated_waves(share):
    """20,000 waves over 400 periods: their variance scatters by 1 %, a false alarm is a four-sigma event."""
    alpha, x, interval = 0.2, 0.6, 2
    whole, part = (1j - alpha) * x, (1j - alpha) * share
    rng = np.random.default_rng(8)
    z = before = np.zeros(20_000, complex)
    for _ in range(400):
        now = z
        for step in range(interval):
            noise = rng.standard_normal((2, len(z))) * np.sqrt(alpha * x)
            kick = noise[0] + 1j * noise[1]

            def rate(y, c, w, step=step, now=now, before=before, kick=kick):
                field = now + (now - before) * (step + c) / interval
                return (whole - part) * y + part * field + w * kick

            # Heun's step, written out
            first = rate(z, 0.0, 1.0)
            z = z + (first + rate(z + first, 1.0, 1.0)) / 2
        before = now
    (expected,) = extrapolation.temperature_ratio("heun", alpha, np.array([x]), np.array([share]), interval)
    assert (np.abs(z) ** 2).mean() == pytest.approx(expected, rel=0.04, abs=0)
    # without the lag it would be another temperature
    assert abs(expected / stability.temperature_ratio("heun", alpha, x) - 1) > 0.1


@pytest.mark.parametrize("turns", [(1, 0), (0, 1), (1, 1)])
def test_the_factors_are_those_of_the_stray_field_of_such_waves(turns):
    """m alternates along x, along y or both; the field in the middle of 41 x 41 cells, by FFT. Reach: 3 % of Ms."""
    mesh = Mesh(41, 41, (5e-9, 5e-9, 4e-9))
    kernel = demag.kernel(mesh)
    wave = np.cos(np.pi * (np.arange(41) * turns[0] + np.arange(41)[:, None] * turns[1]))
    own = np.empty(3)
    for axis in range(3):
        m = np.zeros((3, *mesh.shape))
        m[axis, 0] = wave
        field = np.asarray(demag.nonlocal_field(m, kernel.spectrum, kernel.padded))
        own[axis] = field[axis, 0, 20, 20] / wave[20, 20]
    curvature, factors = extrapolation._stray_parts(41, 41, mesh.cell_m)
    place = np.argmin(np.abs(curvature * 25e-18 - 4 * sum(turns)))
    if sum(turns) == 1:  # two waves have this curvature: that along y comes later
        place = np.flatnonzero(np.isclose(curvature * 25e-18, 4))[0 if turns == (1, 0) else -1]
    np.testing.assert_allclose(np.sort(factors[place]), np.sort(own / 2), atol=0.015)
    assert np.abs(factors[place]).max() > 0.05


def test_a_film_of_low_damping_is_refused_before_it_is_hot():
    """At 0.8 ps, alpha 0.02 and every second step the thermometer of such a film reads 940 K."""
    for good in ((0.02, 5e-13, 1), (0.02, 8e-13, 0), (0.3, 5e-13, 2), (0.1, 5e-13, 2)):
        check(film(*good))
    check(film(0.02, 8e-13, 2, temperature=0.0))
    check(film(0.02, 8e-13, 2, demag=False))
    with pytest.raises(UserError, match="demag_interval_steps: found 2 .* alpha 0.02, .* allowed: at most 1") as error:
        check(film(0.02, 5e-13, 2))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="spin waves to grow instead of 300 K, allowed: 0, or shorter steps"):
        check(film(0.02, 8e-13, 2))
    # the damping of the least damped cell counts, and its own step does
    assert extrapolation.worst_ratio(film(0.02, 4e-13, 1), 0.02, 8e5, 1.3e-11, 1) == pytest.approx(1.07, abs=0.05)
    check(replace(film(0.02, 5e-13, 2), numerics=Numerics(2e-13, "fdr4", "float32", 2)))
