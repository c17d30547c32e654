"""The 1-D wall model against closed forms, Boltzmann's law and itself."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from device_sims import engines
from device_sims.engines.collective import engine, tables
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
    Waveform,
    observables,
)
from spinloom.errors import UserError

A, KU, MS = 1.5e-11, 8e5, 1e6


def wire(duration=1e-9, azimuth=np.pi / 2, position=100e-9, drive=None, numerics=None, **changes):
    """A 400 x 60 x 1 nm track without noise; keywords go to the material, or replace a part of the problem."""
    material = {name: changes.pop(name) for name in list(changes) if name in Material.__dataclass_fields__}
    material = {"Ms_A_per_m": MS, "A_J_per_m": A, "alpha": 0.3, "Ku_J_per_m3": KU, **material}
    problem = Problem(
        mesh=Mesh(100, 15, (4e-9, 4e-9, 1e-9)),
        geometry=Geometry(),
        material=Material(**material),
        schedule=(Phase("run", duration, **(drive or {})),),
        initial=Initial("wall", position_m=position, width_m=9e-9, azimuth_rad=azimuth),
        temperature_K=0.0,
        numerics=Numerics(**{"dt_s": 5e-13, **(numerics or {})}),
        record_interval_s=5e-11,
    )
    return replace(problem, **changes)


NO_DEMAG = {"demag": False}


def positions(result):
    """Wall position from the mean mz: for a tanh on a lattice this is exact to exp(-pi^2 Delta / dx)."""
    mz = result.m[:, 2].astype(float)
    share = mz.sum((1, 2, 3)) / result.mask.sum() * np.sign(mz[0, 0, 0, 0])
    return (1 + share) / 2 * mz.shape[-1] * 4e-9


def angles(result):
    mean = observables.mean_magnetisation(result.m, result.mask)
    return np.unwrap(np.arctan2(mean[:, 1], mean[:, 0]))


def speed(result):
    q = positions(result)
    return (q[-1] - q[len(q) // 2]) / (result.t_s[-1] - result.t_s[len(q) // 2])


# -- magnetostatics --------------------------------------------------------------------------------------------------
def test_a_wide_ultrathin_track_has_the_film_limit():
    """Tarasenko et al. 1998: N_x = t ln 2 / (pi Delta), to first order in t / Delta."""
    wall = tables.magnetostatics(800, (1e-9, 4e-6, 2.5e-10), MS, A, KU)
    energy = wall.S[0] + 2 * wall.k[0] * wall.width_m
    assert energy == pytest.approx(MU0 * MS**2 * 2.5e-10 * np.log(2) / np.pi, rel=0.03, abs=0)
    # nearly all of it S: the width does not know the angle
    assert abs(2 * wall.k[0] * wall.width_m) < 0.04 * energy


def test_a_row_of_slices_is_the_prism():
    energy, by_place = tables.domain_energy(512, (1e-9, 64e-9, 1e-9), MS)
    # Aharoni's mean demagnetising factor of 512 x 64 x 1 nm
    assert energy / (MU0 * MS**2 / 2 * 512 * 64e-27) == pytest.approx(0.969162, abs=1e-6)
    n = tables._slices(512, (1e-9, 64e-9, 1e-9))["zz"]
    full = n[np.abs(np.subtract.outer(np.arange(512), np.arange(512)))]
    for place in (1, 100, 256, 511):
        m = np.where(np.arange(512) < place, 1.0, -1.0)
        middle = np.where(np.arange(512) < 256, 1.0, -1.0)
        expected = MU0 * MS**2 / 2 * 64e-27 * (m @ full @ m - middle @ full @ middle)
        assert by_place[place] == pytest.approx(expected, rel=1e-6, abs=1e-27)


def test_tables_are_averages_over_the_wall():
    rng = np.random.default_rng(5)
    area, Ku = rng.uniform(4e-17, 6e-17, 100), rng.uniform(7e5, 9e5, 100)
    track = tables.track(area, Ku, 4e-9, 8e-9, np.zeros(401))
    x = np.linspace(0, 400e-9, 80001)
    column = np.minimum((x / 4e-9).astype(int), 99)
    for index in (3, 170, 222):
        weight = 1 / np.cosh((x - index * 1e-9) / 8e-9) ** 2 / 16e-9
        expected = integrate.trapezoid(area[column] * weight, x)
        assert track.area[index] == pytest.approx(expected, rel=1e-4, abs=0)
        assert track.Ku[index] * expected == pytest.approx(
            integrate.trapezoid(area[column] * Ku[column] * weight, x), rel=1e-4, abs=0
        )
    for values, slopes in ((track.area, track.area_slope), (track.Ku, track.Ku_slope)):
        assert np.abs(np.gradient(values, 1e-9)[1:-1] - slopes[1:-1]).max() < 0.02 * np.abs(slopes).max()


# -- motion at T = 0 -------------------------------------------------------------------------------------------------
def test_walker():
    """Thiele's mobility gamma0 Delta / alpha below H_W = alpha H_K / 2, precession above; alpha 0.5 relaxes fast."""
    mesh = Mesh(100, 1, (4e-9, 1e-6, 1e-9))
    problem = wire(6e-9, alpha=0.5, mesh=mesh, numerics={"dt_s": 2e-12})
    wall = tables.magnetostatics(400, (1e-9, 1e-6, 1e-9), MS, A, KU)
    H_K = MS * 1e-9 * np.log(2) / (np.pi * wall.width_m)  # film limit, of which this track falls 7 % short
    fields = np.array([0.3, 0.6, 0.8, 1.1]) * 0.5 * H_K / 2
    results = list(
        engine.run([replace(problem, schedule=(Phase("run", 6e-9, field_T=(0, 0, MU0 * H)),)) for H in fields])
    )
    speeds = np.array([speed(result) for result in results])
    # the domains' stray field, which in so wide a track pulls the wall to the middle, adds to the applied one
    lane = engine.prepare(problem).lanes["run"]
    ends = np.interp([positions(r)[60:].mean() for r in results], np.linspace(0, 400e-9, 401), lane.tables[:, 5])
    fields = fields + ends / (2 * MU0 * MS * 1e-15)
    np.testing.assert_allclose(speeds[:3], GAMMA0 * wall.width_m * fields[:3] / 0.5, rtol=0.025, atol=0)
    assert speeds[3] < 0.8 * GAMMA0 * wall.width_m * fields[3] / 0.5
    turned = [abs(angles(result)[-1] - angles(result)[0]) for result in results]
    # below Walker's field the angle stops within an eighth of a turn
    assert max(turned[:3]) < np.pi / 4 < np.pi < turned[3]


def test_speed_under_spin_orbit_torque_and_dmi():
    """v = v_D / sqrt(1 + (alpha H_DMI / a)^2) with v_D = (pi/2) gamma0 D / (mu0 Ms) (Thiaville et al., EPL 100)."""
    D, alpha = 0.8e-3, 0.3
    base = wire(2e-9, np.pi, 60e-9, alpha=alpha, D_J_per_m2=D, spin_hall_angle=-0.1, numerics=NO_DEMAG)
    currents = np.array([2e10, 1e11, 3e11, 5e12])
    runs = [replace(base, schedule=(Phase("run", 2e-9, current_density_A_per_m2=J),)) for J in currents]
    results = list(engine.run(runs))
    a = HBAR * 0.1 * currents / (2 * ELEMENTARY_CHARGE * MU0 * MS * 1e-9)
    limit = np.pi / 2 * GAMMA0 * D / (MU0 * MS)
    expected = limit / np.sqrt(1 + (alpha * D / (MU0 * MS * np.sqrt(A / KU)) / a) ** 2)
    found = [(positions(r)[22] - positions(r)[12]) / (r.t_s[22] - r.t_s[12]) for r in results]
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=0)
    assert expected[-1] > 0.94 * limit


def test_zhang_li():
    base = wire(2e-9, np.pi, D_J_per_m2=1e-3, numerics=NO_DEMAG)
    for beta in (0.1, 0.3, 0.45):
        material = replace(base.material, zhang_li_beta=beta)
        runs = [
            replace(base, material=material, schedule=(Phase("run", 2e-9, zhang_li_u_m_per_s=u),))
            for u in (-20.0, 40.0)
        ]
        found = [speed(result) for result in engine.run(runs)]
        np.testing.assert_allclose(found, beta / 0.3 * np.array([-20.0, 40.0]), rtol=2e-3, atol=0)


def test_mirror_in_the_plane_of_the_track():
    """y -> -y turns up into down, Hz around and phi into pi - phi; q, J, u and D stay (m, H and p are axial)."""
    drive = {
        "field_T": (0.0, 0.0, 0.01),
        "current_density_A_per_m2": 1e11,
        "zhang_li_u_m_per_s": 30.0,
        "Ku_factor": Waveform(1.0, 0.95, 0.02, 1e9),
    }
    problem = wire(1e-9, 2.0, D_J_per_m2=4e-4, spin_hall_angle=-0.1, zhang_li_beta=0.1, drive=drive)
    mirrored = replace(
        problem,
        initial=replace(problem.initial, up_left=False, azimuth_rad=np.pi - 2.0),
        schedule=(Phase("run", 1e-9, **{**drive, "field_T": (0.0, 0.0, -0.01)}),),
    )
    one, other = (next(engine.run([p])) for p in (problem, mirrored))
    assert abs(positions(one)[-1] - positions(one)[0]) > 20e-9
    np.testing.assert_allclose(positions(other), positions(one), rtol=0, atol=1e-13)
    np.testing.assert_allclose(other.m * np.array([-1, 1, -1])[:, None, None, None], one.m, rtol=0, atol=1e-5)
    # z does what turning all spins by pi about it, with D and p, must do: nothing to q
    turned = replace(
        problem,
        initial=replace(problem.initial, azimuth_rad=2.0 + np.pi),
        material=replace(problem.material, D_J_per_m2=-4e-4, spin_hall_angle=0.1),
    )
    np.testing.assert_allclose(positions(next(engine.run([turned]))), positions(one), rtol=0, atol=1e-13)


def test_a_gated_region_draws_the_wall_in_and_holds_it():
    region = Region((120e-9, 160e-9), (0.0, 1e-7), name="gate")
    problem = wire(2e-9, np.pi, 113e-9, regions=(region,), D_J_per_m2=3e-4)
    gated = replace(problem, schedule=(Phase("run", 2e-9, region_Ku_factors=(("gate", 0.85),)),))
    free, held = engine.run([problem, gated])
    assert abs(positions(free)[-1] - 113e-9) < 3e-9  # the domains' stray field draws it to the middle
    assert positions(held)[-1] == pytest.approx(140e-9, abs=6e-9)
    total = held.energies_J["total"]
    assert (np.diff(total) <= 1e-27).all() and total[-1] < total[0] - 10 * BOLTZMANN * 300


def test_a_wall_that_leaves_is_a_uniform_track():
    problem = wire(2e-9, drive={"field_T": (0.0, 0.0, 0.03)}, position=340e-9, D_J_per_m2=1e-3)
    result = next(engine.run([problem]))
    ((t, kind),) = observables.state_events(result.t_s, observables.wall_states(result.m[:, 2], result.mask))
    assert kind == "left_track" and 0 < t < 1e-9
    assert (result.m[-1, 2] == 1).all() and not result.m[-1, :2].any()
    energy = result.energies_J
    volume = 400e-9 * 60e-9 * 1e-9
    assert energy["zeeman"][-1] == pytest.approx(-0.03 * MS * volume, rel=1e-6, abs=0)
    assert energy["exchange"][-1] == energy["anisotropy"][-1] == energy["dmi"][-1] == 0


# -- noise -----------------------------------------------------------------------------------------------------------
def test_boltzmann_is_exactly_stationary():
    """The Fokker-Planck current of S exp(-E/kT) has no divergence, with area, Ku, angle terms and field all at work.

    Itô's drift and the diffusion are taken from the engine's own rates by differentiation; the tables are linear in
    q, so that interpolating them is exact. Without the noise-induced drift the residual is 3e-4.
    """
    with jax.enable_x64(True):
        q = np.linspace(0, 400e-9, 401)
        area, Ku = 4e-17 + 1e-10 * q, 8e5 - 3e11 * q
        table = np.stack([area, 1e-10 + 0 * q, Ku, -3e11 + 0 * q, 2e-14 * q, -2e-14 + 0 * q, 0 * q], axis=1)
        drives = np.zeros((6, 5))
        drives[:, 0] = drives[:, 1] = [0.97, 0.0, 9e3, -5e3, 4e3, 0.0]
        lane = engine.Lane(*map(jnp.asarray, (table, drives, [2e-4, -3e-5, 1e-4], [1e4, 3e4, -6e5])))
        kT, M, s = 400 * BOLTZMANN, MU0 * MS, -1.0
        c = engine.Constants(s, 0.2, A, 3e-4, M, 0.0, (0.0, 1.0, 0.0), 0.0, kT, 1e-9, 400e-9, 0.0)
        unit = jnp.array([1e-8, 1.0])  # a displacement of the wall's width and one radian

        reference = 4e-17 * 6e-3

        def rates(x, noise):
            return jnp.stack(engine._rates(c, lane, *(x * unit), 0.0, 1.0, noise)) / unit / 1e9

        def law(x):
            q, phi = x * unit
            wall = engine._wall(c, lane, q, phi, 0.0, 1.0)
            energy = wall.track[0] * wall.sigma + 2e-14 * q - 2 * s * M * 4e3 * (4e-17 * q + 5e-11 * q**2)
            return wall.track[0] / 4e-17 * jnp.exp(-(energy - reference) / kT)

        def current(x):
            noise = jax.jacfwd(rates, argnums=1)(x, jnp.zeros(2))
            slope = jax.jacfwd(lambda y: jax.jacfwd(rates, argnums=1)(y, jnp.zeros(2)))(x)
            # the noise of the step dt is white noise of unit intensity; 1e9 makes the unit of time a nanosecond
            drift = rates(x, jnp.zeros(2)) + 1e9 * jnp.einsum("jk,ikj->i", noise, slope) / 2

            def spread(y):
                b = jax.jacfwd(rates, argnums=1)(y, jnp.zeros(2))
                return 1e9 * b @ b.T * law(y)

            return drift * law(x) - jnp.einsum("ijj->i", jax.jacfwd(spread)(x)) / 2

        gradient = jax.jit(jax.jacfwd(current))
        rng = np.random.default_rng(3)
        for x in np.stack([rng.uniform(5, 35, 8), rng.uniform(0, 6, 8)], axis=1):
            parts = np.asarray(gradient(jnp.asarray(x)))
            assert abs(np.trace(parts)) < 1e-8 * np.abs(np.diag(parts)).max()


def test_free_diffusion():
    """In steps of 50 ps: D_q = alpha gamma0 Delta kT / ((1 + alpha^2) 2 mu0 Ms w t), D_phi = D_q / Delta^2.

    2560 increments give a variance to 2.8 %; a bound of 11 % is a false alarm in 1e-4 of all seeds.
    """
    base = wire(1e-9, position=200e-9, alpha=0.1, temperature_K=300.0, numerics=NO_DEMAG)
    results = list(engine.run([replace(base, stream=(11, i)) for i in range(128)]))
    steps_q = np.concatenate([np.diff(positions(r)) for r in results])
    steps_phi = np.concatenate([np.diff(angles(r)) for r in results])
    width = np.sqrt(A / KU)
    D = 0.1 * GAMMA0 * width * BOLTZMANN * 300 / (1.01 * 2 * MU0 * MS * 60e-18)
    assert (steps_q**2).mean() == pytest.approx(2 * D * 5e-11, rel=0.11, abs=0)
    assert (steps_phi**2).mean() == pytest.approx(2 * D / width**2 * 5e-11, rel=0.11, abs=0)
    assert abs(np.corrcoef(steps_q, steps_phi)[0, 1]) < 0.08


@pytest.mark.long
def test_boltzmann_in_a_notch():
    """Position and angle in a notch with a little DMI, 300 K: KS, p > 1e-3 for each, so 2e-3 of all seeds fail."""
    shape = Geometry("strip", 32e-9, notch_positions_m=(80e-9,), notch_depth_m=8e-9, notch_width_m=60e-9)
    base = wire(
        8e-9, np.pi, 80e-9, alpha=1.0, A_J_per_m=5e-12, Ku_J_per_m3=1.2e5, D_J_per_m2=1e-4,
        mesh=Mesh(40, 10, (4e-9, 4e-9, 1e-9)), geometry=shape, temperature_K=300.0, stream=(2,),
        numerics={"dt_s": 1e-12, **NO_DEMAG}, record_interval_s=2e-9,
    )  # fmt: skip
    results = list(engine.run([replace(base, stream=(2, i)) for i in range(128)]))
    # records 2 ns apart are independent: the notch relaxes in 0.1 ns
    lane = engine.prepare(base).lanes["run"]
    q = np.linspace(0, 160e-9, 161)
    area, kT = lane.tables[:, 0], BOLTZMANN * 300
    phi = np.linspace(-np.pi, np.pi, 201)
    energy = area[:, None] * (4 * np.sqrt(5e-12 * 1.2e5) + np.pi * 1e-4 * np.cos(phi))
    weight = area[:, None] * np.exp(-(energy - energy[20:-20].min()) / kT)
    weight[:20] = weight[-20:] = 0  # none goes over the notch's rim
    found_q, found_phi = [], []
    for result in results:
        x = (np.arange(40) + 0.5) * 4e-9
        profile = result.m[1:, 2, 0, 5]
        # the record is the profile itself: u = artanh of it, where it is not yet saturated
        u = np.arctanh(np.clip(-profile, -0.999, 0.999))
        nearest = np.argmin(np.abs(u), axis=1)
        found_q += list(x[nearest] - np.sqrt(5e-12 / 1.2e5) * u[np.arange(len(u)), nearest])
        found_phi += list(angles(result)[1:] % (2 * np.pi) - np.pi)
    law_q, law_phi = weight.sum(1), np.roll(weight.sum(0)[:-1], 100)
    for found, at, law in ((found_q, q, law_q), (found_phi, phi, np.append(law_phi, law_phi[0]))):
        cumulated = integrate.cumulative_trapezoid(law, at, initial=0)
        assert stats.kstest(found, lambda v, at=at, c=cumulated: np.interp(v, at, c / c[-1])).pvalue > 1e-3
    assert np.std(found_q) > 3e-9


def test_results_do_not_depend_on_the_batch():
    shapes = [
        Geometry("strip", 44e-9, notch_positions_m=(90e-9,), notch_depth_m=d, notch_width_m=2e-8) for d in (0, 8e-9)
    ]
    base = wire(6e-11, temperature_K=300.0, record_interval_s=2e-11, D_J_per_m2=5e-4)
    problems = [replace(base, stream=(7, i), geometry=shapes[i % 2]) for i in range(70)]

    def content(results):
        return [
            b"".join([r.m.tobytes(), r.t_s.tobytes(), *(e.tobytes() for e in r.energies_J.values())]) for r in results
        ]

    together = content(engine.run(problems))
    assert len(set(together)) == 70
    assert content(engine.run(problems[:1])) == together[:1]
    assert content(engine.run(problems[60:67])) == together[60:67]
    assert content(engine.run(problems[::-1]))[::-1] == together


# -- what it refuses -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"geometry": Geometry("disc")}, "geometry.kind: found 'disc', allowed: box, strip"),
        ({"Ku2_J_per_m3": 1e4}, "Ku2 10000, allowed"),
        ({"axis": (1.0, 0.0, 0.0)}, "material: found axis"),
        ({"slonczewski_lambda": 2.0}, "slonczewski_lambda: found 2, allowed: 1"),
        ({"initial": Initial("uniform")}, "initial: found kind 'uniform'"),
        ({"initial": Initial("wall", position_m=1e-7, tilt_rad=0.3)}, "initial: found kind 'wall', tilt 0.3"),
        ({"position": 5e-7}, "initial.position_m: found 5e-07"),
        ({"regions": (Region((0, 1e-7), (0, 1), (("D_J_per_m2", 2.0),)),), "D_J_per_m2": 1e-3}, "only Ku may differ"),
        ({"Ku_J_per_m3": 5e5}, "phase 'run': found Ku"),
        ({"drive": {"field_T": (1.0, 0.0, 0.0)}}, "under 1 T in the plane"),
        ({"drive": {"region_Ku_factors": (("gate", 0.9),)}}, "region 'gate', allowed: none"),
    ],
)
def test_refusals_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        next(engine.run([wire(**changes)]))
    assert "\n" not in str(error.value)


def test_a_chunk_has_one_timing():
    with pytest.raises(UserError, match="timing in one chunk"):
        next(engine.run([wire(), wire(2e-9)]))
    assert engines.probe("collective")[0]
