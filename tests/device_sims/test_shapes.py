"""The algebra of shapes, shapes in problem files, and regions of any shape."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from device_sims import engines
from device_sims.engines import collective, macrospin, mumax3
from device_sims.engines.llg.solver import Solver
from device_sims.engines.oommf import limits
from device_sims.problem import (
    BOLTZMANN,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Region,
    Roughness,
    Shape,
    geometry,
    material,
    ovf,
    problem_file,
    shapes,
)
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.parts import MU0
from spinloom.errors import UserError
from tests.device_sims.conftest import track, with_material
from tests.device_sims.test_geometry import data_file
from tests.device_sims.test_problem_file import changed, write

NM = 1e-9
MESH = Mesh(200, 100, (NM, NM, NM), 4)
DISC = Shape("disc", (40 * NM, 40 * NM))
QUARTERS = Shape("rectangle", (20 * NM, 10 * NM), translate_m=(20 * NM, 0.0, 0.0))


def area(shape: Shape) -> float:
    """Return the area of a shape's lowest layer in cells of 1 nm2."""
    return float(shapes.cells(shape, MESH)[0].sum())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape("box"), 20000),
        (DISC, math.pi * 400),
        (Shape("ellipse", (80 * NM, 30 * NM), rotate_rad=0.7), math.pi * 40 * 15),
        (replace(DISC, scale=(2.0, 0.5, 1.0)), math.pi * 400),
        (replace(DISC, invert=True), 20000 - math.pi * 400),
        # a triangle, and a bow tie whose two triangles turn opposite ways
        (Shape("polygon", points_m=((2e-8, 1e-8), (12e-8, 1e-8), (2e-8, 9e-8))), 4000),
        (Shape("polygon", points_m=((2e-8, 1e-8), (12e-8, 9e-8), (12e-8, 1e-8), (2e-8, 9e-8))), 4000),
        (Shape("range", ranges_m=((1e-8, 3e-8), (2e-8, 3e-8), None)), 200),
        (Shape("range", ranges_m=((1e-8, 3e-8), None, None)), 2000),
        # 200 x 100 nm hold 5 x 2 periods of 40 x 50 nm, with one disc each
        (Shape("disc", (20 * NM, 20 * NM), repeat_m=(4e-8, 5e-8, 0.0)), 10 * math.pi * 100),
        (Shape("union", operands=(DISC, replace(DISC, translate_m=(4e-8, 0.0, 0.0)))), 2 * math.pi * 400),
        (Shape("intersection", operands=(DISC, QUARTERS)), 97),
        (Shape("difference", operands=(DISC, Shape("disc", (20 * NM, 20 * NM)))), math.pi * 300),
        # moves act on what is combined, too
        (Shape("union", operands=(DISC,), scale=(1.0, 0.5, 1.0), rotate_rad=1.0), math.pi * 200),
    ],
)
def test_areas(shape, expected):
    assert area(shape) == pytest.approx(expected, abs=0, rel=0.03 if shape.kind != "range" else 0)


def test_de_morgan_and_inclusion_exclusion():
    other = Shape("ellipse", (100 * NM, 20 * NM), rotate_rad=0.4)
    both, either = (shapes.cells(Shape(kind, operands=(DISC, other)), MESH) for kind in ("intersection", "union"))
    a, b = (shapes.cells(one, MESH) for one in (DISC, other))
    assert both.sum() + either.sum() == a.sum() + b.sum()
    without = Shape("union", operands=(replace(DISC, invert=True), replace(other, invert=True)), invert=True)
    np.testing.assert_array_equal(shapes.cells(without, MESH), both)


def test_moves_go_in_order():
    """A bar is turned by a right angle about the middle of the box, then moved along x."""
    bar = Shape("rectangle", (60 * NM, 10 * NM), rotate_rad=math.pi / 2, translate_m=(5e-8, 0.0, 0.0))
    expected = Shape("range", ranges_m=((145e-9, 155e-9), (20e-9, 80e-9), None))
    np.testing.assert_array_equal(shapes.cells(bar, MESH), shapes.cells(expected, MESH))
    # a slab along z that is turned about y stands across x
    slab = Shape("cuboid", (200 * NM, 100 * NM, 2 * NM), rotate_rad=math.pi / 2, rotate_axis="y")
    np.testing.assert_array_equal(np.flatnonzero(shapes.cells(slab, MESH).all(axis=(0, 1))), [99, 100])


def test_layers_and_solids():
    np.testing.assert_array_equal(shapes.cells(Shape("layers", layers=(1, 3)), MESH).all(axis=(1, 2)), [0, 1, 1, 0])
    height = Shape("range", ranges_m=(None, None, (1e-9, 4e-9)))
    np.testing.assert_array_equal(shapes.cells(height, MESH).all(axis=(1, 2)), [0, 1, 1, 1])
    cube = Mesh(40, 40, (NM, NM, NM), 40)
    ball = Shape("ellipsoid", (30 * NM, 30 * NM, 30 * NM))
    assert shapes.cells(ball, cube).sum() == pytest.approx(math.pi / 6 * 30**3, abs=0, rel=0.02)


def test_strips_can_be_combined_and_moved():
    strip = Geometry("strip", 40 * NM, Roughness(2e-9, 2e-8, 1, 0), (1e-7,), 1e-8, 2e-8)
    plain = geometry.mask(strip, MESH)
    np.testing.assert_array_equal(shapes.cells(Shape("strip", strip=strip), MESH), plain)
    up = shapes.cells(Shape("strip", strip=strip, translate_m=(0.0, 1e-8, 0.0)), MESH)
    np.testing.assert_array_equal(up[:, 10:], plain[:, :-10])


def test_colours_of_an_image_and_values_of_an_ovf_file(tmp_path):
    picture = np.array([[[255, 0, 0], [0, 0, 255]], [[250, 5, 0], [0, 255, 0]]], np.uint8)
    Image.fromarray(picture).save(tmp_path / "colours.png")
    mesh = Mesh(4, 2, (NM, NM, NM))
    red = Shape("file", file=data_file(tmp_path / "colours.png"), colours=("#ff0000",))
    np.testing.assert_array_equal(shapes.cells(red, mesh)[0], [[1, 1, 0, 0], [1, 1, 0, 0]])
    several = replace(red, colours=("#0000ff", "#00ff00"))
    np.testing.assert_array_equal(shapes.cells(several, mesh)[0], [[0, 0, 1, 1], [0, 0, 1, 1]])
    index = np.array([[[0, 1, 2, 2], [3, 1, 2, 0]]])
    ovf.write(tmp_path / "index.ovf", index, mesh.cell_m)
    two = Shape("file", file=data_file(tmp_path / "index.ovf"), values=(1.0, 3.0))
    np.testing.assert_array_equal(shapes.cells(two, mesh), np.isin(index, [1, 3]))
    moved = shapes.cells(replace(two, translate_m=(NM, 0.0, 0.0)), mesh)
    np.testing.assert_array_equal(moved[0], [[0, 0, 1, 0], [0, 1, 1, 0]])  # nothing comes in from beyond the box
    with pytest.raises(UserError, match="found an image together with the key values, allowed"):
        shapes.cells(replace(red, colours=(), values=(1.0,)), mesh)
    with pytest.raises(UserError, match="found an OVF file together with the key colours, allowed"):
        shapes.cells(replace(two, colours=("#ff0000",), values=()), mesh)


def test_older_problems_keep_their_identity():
    strip = Geometry("strip", 5e-8, Roughness(1e-9, 2e-8, 1, 2), (1e-7,), 5e-9, 1e-8)
    gate = Region((0.0, 1e-7), (0.0, 1e-8), (("Ku_J_per_m3", 1.1),), "gate")
    assert (
        track(geometry=strip, regions=(gate,)).hash()
        == "4f2b62b1295812e2836cb6902dce3647d14e7e83ca1cb9e6d872ef8cd2dab1fc"
    )


# -- problem files ---------------------------------------------------------------------------------------------------
def loaded(tmp_path, path, value):
    return problem_file.load(write(tmp_path, changed(path, value)))[0]


def test_a_geometry_in_words(tmp_path):
    ring = {
        "kind": "difference",
        "of": [{"kind": "disc", "size_m": [16e-9, 16e-9]}, {"kind": "disc", "size_m": [8e-9, 8e-9]}],
        "center_m": [2e-8, 8e-9],
    }
    problem = loaded(tmp_path, "geometry", ring)
    mask = geometry.mask(problem.geometry, problem.mesh)[0]
    np.testing.assert_array_equal(mask[:, 3:7], [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]])
    assert not mask[:, [*range(3), *range(7, 20)]].any()
    assert problem == type(problem).from_dict(problem.to_dict())
    assert loaded(tmp_path, "geometry", {"kind": "disc"}).geometry == Geometry("disc")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "union"}, "geometry: key 'of' is missing; kind union needs it"),
        ({"kind": "disc", "of": [{"kind": "box"}]}, "geometry.of: found with kind disc, allowed: only with kind union"),
        ({"kind": "union", "of": [{"kind": "blob"}]}, "geometry.of.0.kind: found blob, allowed: box"),
        ({"kind": "union", "of": [{"kind": "disc", "radius": 1}]}, "geometry.of.0: found unknown key 'radius'"),
        ({"kind": "union", "of": [{"kind": "layers", "layers": [2, 1]}]}, "found .2, 1., allowed: a first val"),
        ({"kind": "range"}, "geometry: found a range without limits, allowed"),
        ({"kind": "cuboid", "size_m": [1e-9, 1e-9]}, "allowed with cuboid: 3 lengths"),
        ({"kind": "disc", "translate_m": [0, 0], "center_m": [0, 0]}, "found both translate_m and center_m"),
        ({"kind": "disc", "rotate_axis": "x"}, "rotate_axis: found without rotate_rad"),
        ({"kind": "disc", "translate_m": [1e-3, 0]}, "found a shape that contains the centre of no cell"),
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_are_one_line(tmp_path, value, message):
    with pytest.raises(UserError, match=message) as error:
        loaded(tmp_path, "geometry", value)
    assert "\n" not in str(error.value)


LEFT = {"kind": "range", "x_m": [0, 4e-8]}


def test_regions_of_any_shape(tmp_path):
    regions = [
        {"name": "left", "shape": LEFT, "values": {"Ku_J_per_m3": 5e5, "D_J_per_m2": 1e-3}, "axis": [2, 0, 0]},
        {"name": "disc", "shape": {"kind": "disc", "size_m": [16e-9, 16e-9]}, "values": {"Ku_J_per_m3": 0}},
        {"name": "hole", "x_m": [72e-9, 80e-9], "y_m": [0, 1], "values": {"Ms_A_per_m": 0}},
        {"name": "half", "shape": LEFT, "factors": {"alpha": 0.5, "Ku_J_per_m3": 2}},
    ]
    problem = loaded(tmp_path, "regions", regions)
    mask = material.mask(problem)
    assert mask[..., :18].all() and not mask[..., 18:].any()
    values = {name: np.asarray(value) for name, value in material.constants(problem, mask).items()}
    ku = values["Ku_J_per_m3"][0]
    np.testing.assert_array_equal(ku[0, [0, 9, 10, 17]], [1e6, 0, 0, 8e5])  # the disc spans columns 8 to 11
    np.testing.assert_array_equal(values["D_J_per_m2"][0, 0, [9, 10]], [1e-3, 0])
    np.testing.assert_array_equal(values["alpha"][0, 0, [9, 10]], [0.05, 0.1])
    np.testing.assert_array_equal(material.axis(problem)[:, 0, 0, [9, 10]], [[1, 0], [0, 0], [0, 1]])
    np.testing.assert_array_equal(material.region_index(problem)[0, 0, [0, 9, 10, 12, 19]], [4, 4, 2, 0, 3])


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"name": "a"}, "regions.0: found neither x_m and y_m nor a shape, allowed: one of the two"),
        ({"shape": LEFT, "x_m": [0, 1]}, "regions.0: found a shape together with x_m or y_m"),
        ({"shape": {"kind": "box"}, "values": {"Ms_A_per_m": 0}}, "Ms_A_per_m: found 0 in every cell"),
        (
            {"shape": {**LEFT, "translate_m": [1e-3, 0]}},
            "regions.0: found a region that contains the centre of no cell",
        ),
        ({"shape": {"kind": "disc", "file": "a"}}, "regions.0.shape.file: found with kind disc"),
        ({"shape": LEFT, "axis": [0, 0, 0]}, "regions.0.axis: found the zero vector"),
    ],
)
def test_regions_that_cannot_be_are_one_line(tmp_path, region, message):
    with pytest.raises(UserError, match=message):
        loaded(tmp_path, "regions", [region])


# -- physics ---------------------------------------------------------------------------------------------------------
def energy_and_field(problem, m):
    """Return the energy without that of the applied field, J, and the moment-weighted field, A2/m x mu0 = J."""
    import jax

    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
        local = solver._local(system, solver.values(drive, 0), tuple(m)).values()
        field = sum(np.stack(one) for one in local) + np.asarray(solver.stray(m, system.ms))
        moment = MU0 * problem.material.Ms_A_per_m**2 * problem.mesh.cell_volume_m3 * np.asarray(system.ms)
        return solver.energies(system, drive, m)["total"], moment * field


HALF = Shape("range", ranges_m=((0, 2e-8), None, None))
REGIONS = (
    Region((0, 0), (0, 0), shape=HALF, values=(("Ku_J_per_m3", 4e5),), axis=(0.6, 0.0, 0.8)),
    Region((0, 0), (0, 0), shape=Shape("disc", (9e-9, 9e-9)), values=(("Ms_A_per_m", 0.0),)),
)


@pytest.mark.long
@pytest.mark.parametrize("changes", [{"regions": REGIONS}, {"geometry": Geometry("ellipse", edge_smoothing=3)}])
def test_the_field_is_the_gradient_of_the_energy(changes):
    """Also at the outline: with axes by region, cells without material and smoothed edges."""
    problem = track(mesh=Mesh(12, 6, (3 * NM, 3 * NM, NM)), **changes)
    problem = with_material(problem, D_J_per_m2=1e-3, Ku2_J_per_m3=1e5, Kc1_J_per_m3=5e4, Kc2_J_per_m3=-4e4)
    problem = with_material(problem, second_Ku_J_per_m3=3e4, Dbulk_J_per_m2=5e-4)
    mask = material.mask(problem)
    m = np.random.default_rng(1).normal(size=(3, *mask.shape)) * mask
    m /= np.where(mask, np.sqrt((m * m).sum(0)), 1)
    _, field = energy_and_field(problem, m)
    direction = np.cross(np.random.default_rng(2).normal(size=m.shape), m, axis=0) * mask
    step = 1e-5
    up, down = (energy_and_field(problem, m + sign * step * direction)[0] for sign in (1, -1))
    assert -(up - down) / (2 * step) == pytest.approx((field * direction).sum(), abs=0, rel=1e-6)


def test_smoothed_edges_give_a_disc_its_area_and_its_moment():
    mesh = Mesh(16, 16, (2 * NM, 2 * NM, NM))
    exact, errors = math.pi * 15e-9**2, []
    for smoothing in (0, 8):
        shape = Geometry("disc", size_m=(30e-9, 30e-9), edge_smoothing=smoothing)
        problem = track(mesh=mesh, geometry=shape)
        mask = material.mask(problem)
        moment = np.broadcast_to(material.constants(problem, mask)["Ms_A_per_m"], mask.shape)[mask].sum()
        errors.append(abs(moment / 1e6 * 4e-18 / exact - 1))
    assert errors[1] < 2e-3 < errors[0]


# -- files -----------------------------------------------------------------------------------------------------------
def test_a_vector_file_as_shape_holds_every_cell_that_is_not_zero(tmp_path):
    m = np.zeros((3, 1, 4, 20))
    m[2, 0, :, :8], m[0, 0, :, 8:12], m[2, 0, :, 12:18] = 1, 1, -1
    ovf.write(tmp_path / "m.ovf", m, (4e-9, 4e-9, 1e-9))
    problem = loaded(tmp_path, "geometry", {"kind": "file", "file": "m.ovf"})
    np.testing.assert_array_equal(material.mask(problem)[0, 0], [1] * 18 + [0] * 2)


def test_states_maps_and_shapes_of_other_cells(tmp_path):
    m = np.zeros((3, 1, 2, 10))
    m[2], m[1, ..., 5:] = 1, 1
    ovf.write(tmp_path / "m.ovf", m, (1e-8, 1e-8, 1e-8))
    ovf.write(tmp_path / "ku.ovf", np.full((1, 2, 10), 3e5), (1e-8, 1e-8, 1e-8))
    for path, key, name in (
        ("initial", "kind", "m"),
        ("geometry", "kind", "m"),
        ("material.maps", "Ku_J_per_m3", "ku"),
    ):
        value = {"kind": "file", "file": "m.ovf"} if key == "kind" else {key: "ku.ovf"}
        with pytest.raises(
            UserError, match=f"{name}.ovf: found 10 x 2 x 1 nodes of . values, allowed: 20 x 4 x 1 nodes"
        ):
            loaded(tmp_path, path, value)
        problem = loaded(tmp_path, path, {**value, "interpolate": True})
        mask = material.mask(problem)
        assert mask.all()
        if path == "initial":
            start = initial_magnetisation(problem, mask)
            np.testing.assert_allclose((start**2).sum(0), 1, rtol=1e-12)
            np.testing.assert_allclose(
                start[1, 0, 0, [0, 8, 11, 19]], [0, 0, math.sqrt(0.5), math.sqrt(0.5)], atol=1e-12
            )
        if path == "material.maps":
            assert (np.asarray(material.constants(problem, mask)["Ku_J_per_m3"]) == 3e5).all()


@pytest.mark.long
@pytest.mark.parametrize("changes", [{"regions": REGIONS}, {"geometry": Geometry("ellipse", edge_smoothing=2)}])
def test_a_trajectory_is_the_same_with_the_stand_in_for_mumax3(fake_mumax3, changes):
    """Axis and Ms 0 by region, smoothed edges; without a stray field, which the stand-in has not."""
    problem = track(
        mesh=Mesh(12, 6, (3 * NM, 3 * NM, NM)), initial=Initial("uniform", (0.0, 0.6, 0.8)), record_interval_s=1e-11,
        schedule=(Phase("run", 2e-11, field_T=(0.1, 0.0, 0.0)),),
        numerics=Numerics(1e-13, "rk4", "float32", 0, demag=False), **changes,
    )  # fmt: skip
    problem = replace(problem, material=replace(problem.material, spin_hall_angle=0.0))
    (ours,), (theirs,) = engines.run("llg", [problem]), engines.run("mumax3", [problem])
    assert np.abs(ours.m[-1] - ours.m[0]).max() > 0.1
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    np.testing.assert_allclose(theirs.m, ours.m, atol=5e-5)
    for name, energy in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[name], energy, rtol=1e-4, atol=1e-23)


def test_what_an_engine_cannot_do_of_shapes_is_one_line():
    disc = Region((0, 0), (0, 0), shape=DISC, axis=(1.0, 0.0, 0.0))
    for engine, changes, message in (
        (macrospin, {"regions": (disc,)}, "regions: found"),
        (macrospin, {"geometry": Geometry("disc", edge_smoothing=2)}, "geometry.edge_smoothing: found 2"),
        (collective, {"regions": (disc,)}, "regions: found an axis"),
        (
            collective,
            {"geometry": Geometry("strip", width_m=4e-8, edge_smoothing=2)},
            "geometry.edge_smoothing: found 2",
        ),
    ):
        with pytest.raises(UserError, match=message):
            next(engine.run([track(**changes)]))
    smooth = with_material(track(geometry=Geometry("disc", edge_smoothing=2)), Ku2_J_per_m3=1e5, spin_hall_angle=0.0)
    smooth = replace(smooth, numerics=Numerics(1e-13, "rk4", "float32"))
    with pytest.raises(UserError, match="edge_smoothing: found 2 with material.Ku2_J_per_m3, allowed with mumax3: one"):
        mumax3.check(smooth)
    with pytest.raises(UserError, match="edge_smoothing: found 2 with material.Dbulk_J_per_m2, allowed with mumax3"):
        mumax3.check(with_material(smooth, Ku2_J_per_m3=0.0, Dbulk_J_per_m2=1e-3))
    by_shape = Region((0, 0), (0, 0), shape=DISC, values=(("D_J_per_m2", 1e-3),))
    for problem, message in (
        (smooth, "edge_smoothing: found 2 with material.Ku2_J_per_m3, allowed with oommf"),
        (
            track(regions=(by_shape,)),
            "regions.0: found D_J_per_m2 in a region with a shape, allowed with oommf: a region given by",
        ),
    ):
        with pytest.raises(UserError, match=message):
            limits.check_problem(problem)


@pytest.mark.long
def test_moments_of_cells_filled_in_part_follow_langevin():
    """<mz> = coth x - 1/x, x = part Ms V B/(kB T), without any coupling: noise and moment go with the part of a cell.

    144 cells of the edge, over 1 ns of 14 times twice the relaxation time of 37 ps, scatter by 0.58/sqrt(144 14) =
    0.013; five of it: false alarms < 1e-6. With the noise of whole cells their mean would be 0.23 larger.
    """
    problem = track(
        mesh=Mesh(64, 64, (3 * NM, 3 * NM, 3 * NM)),
        geometry=Geometry("disc", size_m=(187 * NM, 187 * NM), edge_smoothing=3),
        material=Material(1e6, 0.0, 1.0), numerics=Numerics(3e-14, "heun", "float32", 0, demag=False),
        initial=Initial("uniform", (1.0, 0.0, 0.0)), schedule=(Phase("run", 1.2e-9, field_T=(0.0, 0.0, 0.307)),),
        record_interval_s=3e-11, temperature_K=300.0,
    )  # fmt: skip
    (result,) = engines.run("llg", [problem])
    part = np.asarray(material.part(problem, result.mask))
    x = part * 1e6 * 27e-27 * 0.307 / (BOLTZMANN * 300)
    edge = result.mask & (part < 0.95)
    assert edge.sum() == 144
    found, expected = result.m[6:, 2][:, edge].mean(), (1 / np.tanh(x) - 1 / x)[edge].mean()
    assert abs(found - expected) < 5 * 0.013
