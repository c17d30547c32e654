"""Thermal equilibrium. Fixed seeds; each test's false-alarm rate for a right solver is stated."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from device_sims.engines.llg import ensemble, integrators, stability
from device_sims.engines.llg.solver import Solver
from device_sims.problem import BOLTZMANN, MU0, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Waveform
from device_sims.validation import boltzmann
from spinloom import streams
from spinloom.errors import UserError


def equilibrium(material, temperature, dt, duration, field_T=(0.0, 0.0, 0.0), mesh=None, scheme="rk4", start=(0, 0, 1)):
    return Problem(
        mesh or Mesh(64, 64, (3e-9, 3e-9, 1e-9)),
        Geometry(), material, (Phase("wait", duration, field_T=field_T),), Initial("uniform", start),
        temperature, Numerics(dt, scheme, "float32", demag=False), duration, stream=(11, "equilibrium"),
    )  # fmt: skip


@pytest.mark.parametrize("scheme, dt", [("fdr4", 5e-13), ("rk4", 2e-13), ("heun", 1e-13)])
def test_macrospins_obey_boltzmann(scheme, dt):
    """4096 uncoupled cells: mz ~ exp(K V mz^2 / kT), uniform azimuth. KS at 1e-3: false alarms 0.6 % in all."""
    energy_over_kT = 2.0
    volume = 9e-27
    Ku = energy_over_kT * BOLTZMANN * 300 / volume
    material = Material(1e6, 0.0, 0.5, Ku_J_per_m3=Ku)
    # from the hard plane, so that both wells fill without crossing a barrier
    problem = equilibrium(material, 300.0, dt, 2e-10, scheme=scheme, start=(1, 0, 0))
    (result,) = ensemble.run([problem])
    mz = result.m[-1][2].ravel()
    grid = np.linspace(-1, 1, 20001)
    density = np.exp(energy_over_kT * grid**2)
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    cumulative /= cumulative[-1]
    assert kstest(mz, lambda z: np.interp(z, grid, cumulative)).pvalue > 1e-3
    azimuth = np.arctan2(result.m[-1][1], result.m[-1][0]).ravel()
    assert kstest(azimuth, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 1e-3


@pytest.mark.parametrize(
    "temperature, alpha, scheme, dt",
    [
        (100.0, 0.3, "fdr4", 4e-13),
        (300.0, 0.3, "fdr4", 4e-13),
        (300.0, 0.03, "fdr4", 4e-13),
        (300.0, 0.3, "heun", 1e-13),
    ],
)
def test_thermometer_shows_the_set_temperature(temperature, alpha, scheme, dt):
    """kB T = mu0 Ms V <sum |m x H|^2> / (2 <sum m.H>) for exchange and applied field (PRE 82, 031111), to 3 %.

    The estimate's own scatter here is 0.5 %, so a false alarm is a six-sigma event.
    """
    material = Material(1e6, 1.5e-11, alpha)
    problem = equilibrium(material, temperature, dt, 2e-11, field_T=(0.0, 0.0, 1.0), scheme=scheme)
    solver = Solver(problem)
    system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
    values, state, key = solver.values(drive, 0), solver.start(problem), streams.key(4, "thermometer")
    torque = along = 0.0
    every = round(1e-11 / dt)
    waiting = 3 if alpha > 0.1 else 10
    for index in range(waiting + 15):
        state = solver.advance(system, drive, state, key, every * index, every)
        if index < waiting:
            continue
        fields = solver.local(system, values, tuple(state.m))
        h = sum(np.asarray(fields[name], np.float64) for name in ("exchange", "zeeman"))
        m = np.asarray(state.m, np.float64)
        # a cell's bond with itself is a constant energy: it exerts no torque and must not count along m
        h += np.asarray(system.exchange.total, np.float64) * m
        torque += (np.cross(m, h, axis=0) ** 2).sum()
        along += (m * h).sum()
    unit = MU0 * material.Ms_A_per_m**2 * problem.mesh.cell_volume_m3
    assert unit * torque / (2 * along) / BOLTZMANN == pytest.approx(temperature, rel=0.03, abs=0)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_linear_waves_have_the_temperature_that_theory_says(alpha):
    """The scheme itself, on dz/dt = (i - alpha) z + noise, against `temperature_ratio`; 1 % scatter, 5 sigma.

    Without noise the step must be the polynomial that the theory uses.
    """
    rng = np.random.default_rng(7)
    for scheme, x in (("heun", 0.3 * alpha ** (1 / 3)), ("rk4", 0.8), ("fdr4", 1.6)):
        z = np.array([1.0 + 0j])
        step = integrators.FIXED[scheme](lambda z, c, w: (1j - alpha) * z, z, x)
        growth = sum(a * ((1j - alpha) * x) ** n for n, a in enumerate(stability.GROWTH[scheme]))
        assert abs(step[0] - growth) < 1e-14
        z, square, samples = np.zeros(10000, complex), 0.0, 0
        forget = int(6 / (2 * alpha * x)) + 1
        for index in range(2 * forget):
            noise = rng.standard_normal((2, z.size))
            held = np.sqrt(2 * alpha / x / 2) * (noise[0] + 1j * noise[1])
            z = integrators.FIXED[scheme](lambda z, c, w, held=held: (1j - alpha) * z + w * held, z, x)
            if index >= forget:
                square, samples = square + (np.abs(z) ** 2).mean(), samples + 1
        expected = stability.temperature_ratio(scheme, alpha, x)
        assert square / samples == pytest.approx(float(expected), rel=0.03, abs=0)


def test_steps_that_would_heat_are_refused():
    """Heun at alpha 0.03 and 0.2 ps would let the fastest waves grow; fdr4 keeps them at the set temperature."""
    problem = equilibrium(Material(1e6, 1.5e-11, 0.03), 300.0, 2e-13, 2e-12, mesh=Mesh(8, 4, (4e-9, 4e-9, 1e-9)))
    for scheme in ("heun", "fdr4"):
        numerics = replace(problem.numerics, integrator=scheme)
        if scheme == "fdr4":
            assert len(list(ensemble.run([replace(problem, numerics=numerics)]))) == 1
        else:
            with pytest.raises(UserError, match=r"numerics.dt_s: found 2e-13, allowed: at most .* s with heun"):
                list(ensemble.run([replace(problem, numerics=numerics)]))


@pytest.mark.long
def test_uncoupled_moments_on_an_odd_mesh_obey_langevin():
    """mu B/kT = 2: <mz> = coth 2 - 1/2 = 0.5373; bounds of four standard errors, and p > 1e-3."""
    rows = list(boltzmann.langevin())
    assert [row.expected for row in rows[::2]] == pytest.approx([0.1640, 0.5373], abs=1e-4)
    assert all(row.passed for row in rows), rows


def test_streams_decide_the_noise_and_nothing_else_does():
    problem = equilibrium(Material(1e6, 1e-11, 0.1), 300.0, 1e-13, 2e-12, mesh=Mesh(8, 4, (4e-9, 4e-9, 1e-9)))
    other = replace(problem, stream=(11, "another"))
    first = [result.m[-1] for result in ensemble.run([problem, other])]
    second = [result.m[-1] for result in ensemble.run([other, problem, other])]
    np.testing.assert_array_equal(first[0], second[1])
    np.testing.assert_array_equal(first[1], second[0])
    assert np.abs(first[0] - first[1]).max() > 1e-3
    # recording more often must not change the path
    finer = next(ensemble.run([replace(problem, record_interval_s=5e-13)]))
    np.testing.assert_array_equal(finer.m[-1], first[0])


@pytest.mark.long
def test_a_phase_has_the_temperature_that_its_factor_says():
    """The noise is drawn from the same words, so half of 600 K is 300 K, and nothing of any temperature is T = 0."""
    mesh, material = Mesh(8, 8, (3e-9, 3e-9, 1e-9)), Material(1e6, 1e-11, 0.5)

    def end(kelvin, factor):
        problem = equilibrium(material, kelvin, 5e-14, 2e-12, (0.0, 0.0, 0.2), mesh, "rk4", (1, 0, 0.2))
        phase = replace(problem.schedule[0], temperature_factor=factor)
        (result,) = ensemble.run([replace(problem, schedule=(phase,), record_interval_s=2e-12)])
        return result.m[-1]

    np.testing.assert_allclose(end(600.0, 0.5), end(300.0, 1.0), atol=2e-6)
    np.testing.assert_allclose(end(600.0, 0.0), end(0.0, 1.0), atol=2e-6)
    assert np.abs(end(600.0, 0.5) - end(600.0, 0.0)).max() > 0.05


def test_moments_follow_a_temperature_that_rises():
    """64 x 64 uncoupled cells in a field: Langevin's function of the temperature that has been reached, 4 sigma.

    The relaxation time is 10 ps, over which the temperature rises by 2 %: within that it may lag behind.
    """
    field, volume = 0.3, 9e-27
    material = Material(1e6, 0.0, 0.5)
    problem = equilibrium(material, 600.0, 1e-13, 5e-10, (0.0, 0.0, field), scheme="rk4", start=(0.5, 0, 1))
    phase = replace(problem.schedule[0], temperature_factor=Waveform(0.5, 1.0))
    (result,) = ensemble.run([replace(problem, schedule=(phase,), record_interval_s=2.5e-10)])
    for record, kelvin in ((1, 450.0), (2, 600.0)):
        x = 1e6 * volume * field / (BOLTZMANN * kelvin)
        mean, spread = (
            1 / np.tanh(x) - 1 / x,
            np.sqrt(1 - 2 * (1 / np.tanh(x) - 1 / x) / x - (1 / np.tanh(x) - 1 / x) ** 2),
        )
        assert abs(result.m[record][2].mean() - mean) < 0.02 * mean + 4 * spread / 64
