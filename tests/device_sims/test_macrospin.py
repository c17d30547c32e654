"""One moment against what is known of one moment. Fixed seeds; random tests state their false-alarm rate."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from device_sims.engines.macrospin import noise
from device_sims.engines.macrospin import solver as macrospin
from device_sims.problem import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    GAMMA0,
    HBAR,
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Roughness,
    Waveform,
    geometry,
)
from device_sims.problem.magnetostatics.body import demag_tensor, volume_m3
from device_sims.problem.magnetostatics.newell import tensor
from spinloom.errors import UserError

VOLUME = 1e-24  # 10 x 10 x 10 nm
MS = 1e6


def free(Hk=0.0, alpha=0.1, T=0.0, duration=1e-9, direction=(0, 0, 1), dt=1e-12, precision="float64", **changes):
    """A moment without stray field, so that Hk (A/m) along z is all its anisotropy."""
    drives = changes.pop("drives", {})
    material = Material(MS, 1e-11, alpha, Ku_J_per_m3=MU0 * MS * Hk / 2, **changes.pop("material", {}))
    problem = Problem(
        Mesh(1, 1, (1e-8, 1e-8, 1e-8)), Geometry(), material, (Phase("run", duration, **drives),),
        Initial("uniform", tuple(map(float, direction))), T, Numerics(dt, "heun", precision, demag=False), duration,
        stream=(5, "macrospin"),
    )  # fmt: skip
    return replace(problem, **changes)


def replicas(problem, number):
    return [replace(problem, stream=(*problem.stream, i)) for i in range(number)]


def last(problems):
    return np.array([result.m[-1].ravel() for result in macrospin.run(problems)], np.float64)


def test_threefry_gives_the_known_answers():
    """Random123's vectors for threefry4x32, 20 rounds."""
    zero, ones = jnp.zeros(1, jnp.uint32), jnp.full(1, 0xFFFFFFFF, jnp.uint32)
    for word, expected in (
        (zero, (0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8)),
        (ones, (0x2A881696, 0x57012287, 0xF6C7446E, 0xA16A6732)),
    ):
        assert tuple(int(w[0]) for w in noise.threefry([word] * 4, [word] * 4)) == expected


def test_noise_is_normal_and_white():
    """Of 12,288 normals: KS at 1e-4, and correlations between components and successive steps at 5 sigma."""
    keys = jnp.asarray(np.arange(4 * 256, dtype=np.uint32).reshape(4, 256))
    drawn = np.asarray(noise.normals(keys, jnp.asarray(3), jnp.float32), np.float64)
    assert drawn.shape == (noise.BLOCK, 3, 256)
    assert kstest(drawn.ravel(), "norm").pvalue > 1e-4
    pairs = [(drawn[:, 0], drawn[:, 1]), (drawn[:, 1], drawn[:, 2]), (drawn[:-1], drawn[1:]), (drawn[:-2], drawn[2:])]
    for a, b in pairs:
        assert abs((a * b).mean()) < 5 / math.sqrt(a.size)


def test_precession_and_damping_in_a_field():
    """mz = tanh(artanh mz0 + alpha w t), azimuth w t, w = gamma0 H/(1 + alpha^2)."""
    field, alpha, t = 0.1, 0.05, 2e-9
    start = np.array([0.8, 0.0, -0.6])
    problem = free(alpha=alpha, duration=t, direction=start, dt=2e-13, drives={"field_T": (0.0, 0.0, field)})
    ((x, y, z),) = last([problem])
    w = GAMMA0 * field / MU0 / (1 + alpha**2)
    assert z == pytest.approx(math.tanh(math.atanh(-0.6) + alpha * w * t), abs=1e-5)
    turned = (math.atan2(y, x) - w * t + math.pi) % (2 * math.pi) - math.pi
    assert turned == pytest.approx(0.0, abs=1e-4)


def test_waveforms_are_followed():
    """The azimuth about a changing field is the integral of the field."""
    t, alpha = 1e-9, 0.01
    wave = Waveform(0.02, 0.1, amplitude=0.05, frequency_Hz=3e9, phase_rad=0.4)
    problem = free(alpha=alpha, duration=t, direction=(1, 0, 0), dt=2e-13, drives={"field_T": (0.0, 0.0, wave)})
    ((x, y, _),) = last([problem])
    turn = 2 * math.pi * wave.frequency_Hz
    area = (wave.start + wave.stop) / 2 * t
    area += wave.amplitude * (math.cos(wave.phase_rad) - math.cos(turn * t + wave.phase_rad)) / turn
    expected = GAMMA0 / MU0 * area / (1 + alpha**2)
    assert (math.atan2(y, x) - expected + math.pi) % (2 * math.pi) - math.pi == pytest.approx(0.0, abs=2e-4)


def test_tensor_of_a_box_is_that_of_one_cell():
    mesh = Mesh(5, 3, (2e-9, 3e-9, 1e-9), nz=2)
    whole = tensor(1, 1, mesh.size_m)
    expected = np.diag([float(whole[name].ravel()[0]) for name in ("xx", "yy", "zz")])
    np.testing.assert_allclose(demag_tensor(Geometry(), mesh), expected, rtol=0, atol=1e-9)
    assert volume_m3(Geometry(), mesh) == pytest.approx(30 * 6e-27, rel=1e-12, abs=0)


def test_tensor_of_a_rough_strip_is_the_mean_over_pairs():
    mesh = Mesh(8, 7, (4e-9, 4e-9, 2e-9))
    shape = Geometry("strip", width_m=16e-9, roughness=Roughness(3e-9, 8e-9, 2, 1))
    cells = np.argwhere(geometry.mask(shape, mesh)[0])
    parts = tensor(8, 7, mesh.cell_m)
    mean = np.zeros((3, 3))
    for a in cells:
        for b in cells:
            dy, dx = a - b
            near = {name: float(part[0, abs(dy), abs(dx)]) for name, part in parts.items()}
            mean += np.diag([near["xx"], near["yy"], near["zz"]])
            mean[0, 1] += near["xy"] * np.sign(dx) * np.sign(dy)
    mean[1, 0] = mean[0, 1]
    found = demag_tensor(shape, mesh)
    np.testing.assert_allclose(found, mean / len(cells), rtol=0, atol=1e-12)
    assert abs(found[0, 1]) > 1e-4  # a strip without symmetry, or the off-diagonal part is not tested
    assert np.trace(found) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("degrees", [10, 30, 45, 70])
def test_switches_on_the_stoner_wohlfarth_astroid(degrees):
    """h = (cos^(2/3) + sin^(2/3))^(-3/2) of the field's angle to the axis, to 1 %."""
    Hk, angle = 2e5, math.radians(degrees)
    h = (math.cos(angle) ** (2 / 3) + math.sin(angle) ** (2 / 3)) ** -1.5
    fields = [factor * h * MU0 * Hk for factor in (0.99, 1.01)]
    drives = [{"field_T": (B * math.sin(angle), 0.0, -B * math.cos(angle))} for B in fields]
    before, after = last([free(Hk, alpha=1.0, duration=4e-9, drives=d) for d in drives])
    assert before[2] > 0.2
    assert after[2] < -0.5


def a_field(J, theta, thickness=1e-8):
    return HBAR * theta * J / (2 * ELEMENTARY_CHARGE * MU0 * MS * thickness)


@pytest.mark.parametrize(
    "side, ratio, Lambda", [(1, 0.0, 1.0), (-1, 0.0, 1.0), (1, 0.5, 1.0), (1, 0.0, 1.5), (-1, 0.3, 1.5)]
)
def test_instability_under_a_current(side, ratio, Lambda):
    """A small angle grows with gamma0/(1 + alpha^2) [a g (1 + alpha ratio) - alpha (Hk + H)]: its zero is I_c0."""
    Hk, alpha, theta, offset, t = 2e5, 0.1, 0.4, 0.02, 2e-9
    factor = 2 * Lambda**2 / (Lambda**2 + 1 + side * (Lambda**2 - 1)) * (1 + alpha * ratio)
    damping = alpha * (Hk + side * offset / MU0)
    critical = damping / factor / a_field(1.0, theta)
    constants = {"spin_hall_angle": theta, "field_like_ratio": ratio, "polarisation": (0.0, 0.0, 1.0)}
    problems = [
        free(
            Hk, alpha, duration=t, direction=(1e-4, 0, side), dt=2e-13,
            material={**constants, "slonczewski_lambda": Lambda},
            drives={"current_density_A_per_m2": -side * critical * over, "field_T": (0.0, 0.0, offset)},
        )
        for over in (0.98, 1.02, 1.5)
    ]  # fmt: skip
    angles = np.hypot(*last(problems).T[:2])
    growth = np.log(angles / 1e-4) / t
    expected = GAMMA0 / (1 + alpha**2) * damping * np.array([-0.02, 0.02, 0.5])
    np.testing.assert_allclose(growth, expected, rtol=2e-3, atol=1e-3 * expected[-1])


def test_orders_of_the_scheme():
    """At T = 0 Heun's error falls with the square of the step."""
    problem = free(2e5, 0.1, duration=2e-10, direction=(1, 0, 1), drives={"field_T": (0.05, 0.02, -0.1)})
    exact = last([replace(problem, numerics=replace(problem.numerics, dt_s=5e-14))])
    errors = []
    for dt in (2e-12, 1e-12, 5e-13):
        errors.append(np.abs(last([replace(problem, numerics=replace(problem.numerics, dt_s=dt))]) - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders == pytest.approx([2.0, 2.0], abs=0.15)


@pytest.mark.parametrize("delta", [1.0, 3.0])
def test_obeys_boltzmann(delta):
    """cos ~ exp(Delta mz^2), uniform azimuth, from the hard plane; 1024 moments, KS at 1e-3 each."""
    T = 300.0
    Hk = 2 * delta * BOLTZMANN * T / (MU0 * MS * VOLUME)
    dt = 0.05 / (GAMMA0 * max(Hk, 2e5 / 3))
    problem = free(Hk, 0.5, T, duration=1500 * dt, direction=(1, 0, 0), dt=dt, precision="float32")
    x, y, z = last(replicas(problem, 1024)).T
    grid = np.linspace(-1, 1, 20001)
    density = np.exp(delta * grid**2)
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    assert kstest(z, lambda v: np.interp(v, grid, cumulative / cumulative[-1])).pvalue > 1e-3
    assert kstest(np.arctan2(y, x), "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 1e-3


@pytest.mark.parametrize("delta", [4.0, 7.0])
def test_leaves_a_well_at_browns_rate(delta):
    """<mz> falls as exp(-t/tau), 1/tau = 2 w sqrt(Delta/pi) exp(-Delta) (1 - 1/Delta), w = alpha gamma0 Hk/(1+alpha^2).

    Brown, Phys. Rev. 130, 1677 (1963): the relaxation of both wells, twice the escape from one, with the first
    correction in 1/Delta. 2048 moments after 0.7 tau know tau to 4 %; tolerance 16 %: a four-sigma event.
    """
    T, alpha = 300.0, 0.5
    Hk = 2 * delta * BOLTZMANN * T / (MU0 * MS * VOLUME)
    rate = 2 * alpha * GAMMA0 * Hk / (1 + alpha**2) * math.sqrt(delta / math.pi) * math.exp(-delta) * (1 - 1 / delta)
    dt = 0.05 / (GAMMA0 * Hk)
    rest, wait = 400, round(0.7 / rate / dt)
    problem = free(Hk, alpha, T, duration=rest * dt, dt=dt, precision="float32", record_interval_s=wait * dt)
    problem = replace(problem, schedule=(Phase("rest", rest * dt), Phase("wait", wait * dt)))
    mz = np.array([r.m[[r.phase_end["rest"], -1], 2].ravel() for r in macrospin.run(replicas(problem, 2048))])
    start, end = mz.mean(0)
    assert math.log(start / end) == pytest.approx(0.7, rel=0.16, abs=0)


def test_path_depends_on_its_own_stream_alone():
    """Bytes are equal alone, in batches of 7 and across lanes, among other problems, however often recorded."""
    hot = free(1e5, 0.1, 300.0, duration=5e-11, precision="float32")
    many = replicas(hot, 300)
    full = [result.m[-1].tobytes() for result in macrospin.run(many)]
    assert len(set(full)) == 300
    assert [r.m[-1].tobytes() for r in macrospin.run(many[:7])] == full[:7]
    assert [r.m[-1].tobytes() for r in macrospin.run(many[290:291])] == full[290:291]
    other = free(2e5, 0.3, 200.0, duration=5e-11, precision="float32", drives={"field_T": (0.0, Waveform(0, 0.1), 0.0)})
    mixed = [r.m[-1].tobytes() for r in macrospin.run([other, many[5], other, many[4]])]
    assert [mixed[1], mixed[3]] == [full[5], full[4]]
    finer = next(macrospin.run([replace(many[3], record_interval_s=3e-12)]))
    assert finer.m[-1].tobytes() == full[3]
    assert finer.m.shape == (18, 3, 1, 1, 1)


def test_energies_of_a_disc():
    """By hand at t = 0; without drives and at T = 0 the total falls."""
    mesh, shape = Mesh(8, 8, (2e-9, 2e-9, 1e-9)), Geometry("disc")
    problem = replace(
        free(alpha=0.2, duration=4e-10, direction=(0.6, 0, 0.8)),
        mesh=mesh,
        geometry=shape,
        material=Material(MS, 1e-11, 0.2, Ku_J_per_m3=8e5, Ku2_J_per_m3=1e5),
        schedule=(Phase("run", 4e-10, Ku_factor=0.5, field_T=(0.0, 0.0, 0.1)),),
        numerics=Numerics(1e-12, "heun", "float64"),
        record_interval_s=2e-11,
    )
    (result,) = macrospin.run([problem])
    n, volume, s = demag_tensor(shape, mesh), volume_m3(shape, mesh), 0.36
    expected = {
        "anisotropy": volume * (0.5 * 8e5 * s + 1e5 * s * s),
        "demag": MU0 / 2 * MS**2 * volume * (n[0, 0] * 0.36 + n[2, 2] * 0.64),
        "zeeman": -MS * volume * 0.1 * 0.8,
    }
    for name, value in expected.items():
        assert result.energies_J[name][0] == pytest.approx(value, rel=1e-9, abs=0)
    total = result.energies_J["total"]
    assert total[0] == pytest.approx(sum(expected.values()), rel=1e-9, abs=0)
    assert (np.diff(total) < 0).all()
    assert result.mask.tolist() == [[[True]]]
    assert result.phase_end == {"run": 20}


_region = Region((0, 1e-8), (0, 1e-8), (("alpha", 2.0),), "gate")


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"material": {"D_J_per_m2": 1e-3}}, "material.D_J_per_m2"),
        ({"initial": Initial("wall")}, "initial.kind"),
        ({"initial": Initial("uniform", relax_tolerance=1e-4)}, "initial.relax_tolerance"),
        ({"initial": Initial("uniform", direction=(0.0, 0.0, 0.0))}, "initial.direction"),
        ({"regions": (_region,)}, "regions"),
        ({"drives": {"zhang_li_u_m_per_s": 1.0}}, "zhang_li_u_m_per_s"),
        ({"numerics": Numerics(1e-12, "rk4")}, "numerics.integrator"),
        ({"Hk": 5e6}, "numerics.dt_s"),
    ],
)
def test_refuses_what_one_moment_cannot_be(changes, key):
    with pytest.raises(UserError, match=key):
        list(macrospin.run([free(**changes)]))


def test_refuses_different_timings():
    with pytest.raises(UserError, match="timing"):
        list(macrospin.run([free(), free(duration=2e-9)]))
