"""Shapes in three dimensions and from files, initial states, constants cell by cell."""

import math

import numpy as np
import pytest
from PIL import Image

from device_sims.problem import DataFile, Geometry, Initial, Map, Mesh, Region, geometry, material, ovf
from device_sims.problem.initial import initial_magnetisation
from spinloom import files
from spinloom.errors import UserError
from tests.device_sims.conftest import track

NM = 1e-9


def data_file(path) -> DataFile:
    return DataFile(str(path), files.sha256_file(path))


# -- geometry --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [Geometry(), Geometry("disc"), Geometry("strip", width_m=6 * NM)])
def test_layers_are_alike(shape):
    flat, thick = Mesh(20, 8, (NM, NM, NM)), Mesh(20, 8, (NM, NM, NM), 3)
    mask = geometry.mask(shape, thick)
    assert mask.shape == (3, 8, 20) and mask.any()
    for layer in mask:
        np.testing.assert_array_equal(layer, geometry.mask(shape, flat)[0])


@pytest.mark.parametrize(("kind", "part"), [("ellipse", math.pi / 4), ("rectangle", 1.0), ("disc", math.pi / 4)])
@pytest.mark.parametrize("odd", [0, 1])
def test_area_and_symmetry_of_centred_shapes(kind, part, odd):
    mesh = Mesh(240 + odd, 160 + odd, (NM, NM, NM))
    size = (150 * NM, 150 * NM) if kind == "disc" else (200 * NM, 100 * NM)
    mask = geometry.mask(Geometry(kind, size_m=size), mesh)[0]
    # a staircase misses at most the cells of the outline
    assert mask.sum() * NM**2 == pytest.approx(part * size[0] * size[1], abs=0, rel=0.015)
    np.testing.assert_array_equal(mask, mask[::-1])
    np.testing.assert_array_equal(mask, mask[:, ::-1])


def test_centres_on_the_outline_are_outside():
    mesh = Mesh(7, 7, (NM, NM, NM))
    assert geometry.mask(Geometry("rectangle", size_m=(4 * NM, 2 * NM)), mesh).sum() == 3 * 1
    assert geometry.mask(Geometry("disc", size_m=(4 * NM, 4 * NM)), mesh).sum() == 9
    assert geometry.mask(Geometry("rectangle"), mesh).all()


def test_a_disc_is_the_same_in_a_larger_box():
    own = geometry.mask(Geometry("disc"), Mesh(20, 20, (3 * NM, 3 * NM, NM)))[0]
    wide = geometry.mask(Geometry("disc", size_m=(60 * NM, 60 * NM)), Mesh(30, 40, (3 * NM, 3 * NM, NM)))[0]
    np.testing.assert_array_equal(wide[10:30, 5:25], own)
    assert wide.sum() == own.sum() == 316


def test_an_ellipse_fills_the_box_if_it_has_no_size():
    mesh = Mesh(40, 20, (NM, NM, NM))
    assert (
        geometry.mask(Geometry("ellipse"), mesh) == geometry.mask(Geometry("ellipse", size_m=(4e-8, 2e-8)), mesh)
    ).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Geometry("blob"), "geometry.kind: found 'blob', allowed: box, disc"),
        (Geometry("ellipse", size_m=(12 * NM, 3 * NM)), "found 1.2e-08 x 3e-09, allowed: at most the box"),
        (Geometry("disc", size_m=(0.5 * NM, 0.5 * NM)), "centre of no cell"),
    ],
)
def test_shapes_that_cannot_be(shape, message):
    with pytest.raises(UserError, match=message):
        geometry.mask(shape, Mesh(10, 10, (NM, NM, NM)))


PICTURE = np.array([[0, 0, 255], [0, 255, 255]], np.uint8)  # dark: the upper left; 3 x 2 pixels
EXPECTED = np.array([[1, 0, 0], [1, 1, 0]], bool)  # rows from y = 0 upwards


def save_grey(path):
    Image.fromarray(PICTURE).save(path)


def save_colour(path):
    red_and_yellow = np.where(PICTURE[..., None] == 0, [200, 0, 0], [255, 255, 0]).astype(np.uint8)
    Image.fromarray(red_and_yellow).save(path)


def save_transparent(path):
    black = np.zeros((2, 3, 4), np.uint8)
    black[..., 3] = 255 - PICTURE
    Image.fromarray(black).save(path)


def save_16_bit(path):
    Image.fromarray(PICTURE.astype(np.uint16) * 257).save(path)


@pytest.mark.parametrize("save", [save_grey, save_colour, save_transparent, save_16_bit])
def test_dark_pixels_are_material_and_the_top_row_is_at_large_y(tmp_path, save):
    save(tmp_path / "shape.png")
    shape = Geometry("file", file=data_file(tmp_path / "shape.png"))
    mask = geometry.mask(shape, Mesh(6, 4, (NM, NM, NM), 2))
    np.testing.assert_array_equal(mask[1], np.kron(EXPECTED, np.ones((2, 2), bool)))
    np.testing.assert_array_equal(geometry.mask(shape, Mesh(3, 2, (NM, NM, NM)))[0], EXPECTED)


def test_other_image_formats(tmp_path):
    Image.fromarray(np.kron(PICTURE, np.ones((16, 16), np.uint8))).save(tmp_path / "shape.jpg", quality=95)
    shape = Geometry("file", file=data_file(tmp_path / "shape.jpg"))
    np.testing.assert_array_equal(geometry.mask(shape, Mesh(3, 2, (NM, NM, NM)))[0], EXPECTED)


def test_a_shape_from_an_ovf_file(tmp_path):
    mesh = Mesh(4, 3, (NM, NM, NM), 2)
    values = np.random.default_rng(1).integers(0, 2, size=mesh.shape)
    ovf.write(tmp_path / "a.ovf", values, mesh.cell_m)
    np.testing.assert_array_equal(
        geometry.mask(Geometry("file", file=data_file(tmp_path / "a.ovf")), mesh), values != 0
    )
    with pytest.raises(UserError, match="allowed: 4 x 3 x 1 nodes"):
        geometry.mask(Geometry("file", file=data_file(tmp_path / "a.ovf")), Mesh(4, 3, (NM, NM, NM)))


@pytest.mark.parametrize("content", [b"no picture", b"\x89PNG\r\n\x1a\nbut no more", b"# OOMMF OVF 2.0\n"])
def test_a_file_that_is_no_shape(tmp_path, content):
    (tmp_path / "shape").write_bytes(content)
    with pytest.raises(UserError, match="shape: (found neither an image|found a file that is cut short)"):
        geometry.mask(Geometry("file", file=data_file(tmp_path / "shape")), Mesh(3, 2, (NM, NM, NM)))


# -- initial state ---------------------------------------------------------------------------------------------------
def start(initial, mesh, shape=None) -> np.ndarray:
    mask = geometry.mask(shape or Geometry(), mesh)
    m = initial_magnetisation(track(mesh=mesh, initial=initial), mask)
    assert m.shape == (3, *mesh.shape)
    np.testing.assert_allclose((m**2).sum(0), mask, atol=1e-14)
    return m


def test_uniform_states_have_unit_length_and_end_at_the_mask():
    m = start(Initial("uniform", (3.0, 0.0, 4.0)), Mesh(8, 8, (NM, NM, NM), 2), Geometry("disc"))
    np.testing.assert_allclose(m[:, 1, 4, 4], [0.6, 0, 0.8], atol=1e-15)
    assert not m[:, :, 0, 0].any()


@pytest.mark.parametrize("up_left", [True, False])
def test_wall_profile(up_left):
    """Cell centre 20 nm right of the wall, two widths: mz = -tanh 2, and the rest sech 2 at 30 degrees to x."""
    initial = Initial("wall", position_m=99.5 * NM, width_m=10 * NM, azimuth_rad=math.pi / 6, up_left=up_left)
    m = start(initial, Mesh(200, 4, (NM, NM, NM)))
    sign = 1 if up_left else -1
    expected = [math.cos(math.pi / 6) / math.cosh(2), 0.5 / math.cosh(2), -sign * math.tanh(2)]
    np.testing.assert_allclose(m[:, 0, 2, 119], expected, atol=1e-12)
    assert m[2, 0, 0, 0] * sign > 0.999 and m[2, 0, 0, -1] * sign < -0.999


def test_a_tilted_wall_crosses_the_middle_at_its_position():
    m = start(Initial("wall", position_m=100 * NM, width_m=5 * NM, tilt_rad=0.5), Mesh(200, 41, (NM, NM, NM)))
    crossing = np.array([np.interp(0, -row, np.arange(200) + 0.5) for row in m[2, 0]])
    # u = 0 on the line (x - position) cos = y sin
    np.testing.assert_allclose(crossing, 100 + np.tan(0.5) * (np.arange(41) - 20), atol=0.02)


def test_domains_far_from_a_narrow_wall_are_finite():
    with np.errstate(all="raise", under="ignore"):
        m = start(Initial("wall", position_m=0.0, width_m=1e-10), Mesh(300, 1, (NM, NM, NM)))
    assert m[2, 0, 0, -1] == -1


def test_vortex_turns_counterclockwise_with_its_core_up():
    mesh = Mesh(33, 33, (3 * NM, 3 * NM, NM), 2)
    m = start(Initial("vortex"), mesh)
    np.testing.assert_array_equal(m[:, 1, 16, 16], [0, 0, 1])
    assert m[1, 0, 16, 30] > 0.99 and m[0, 0, 30, 16] < -0.99 and m[1, 0, 16, 2] < -0.99
    # two cells right of the middle: (0, 1, 1.5 exp(-2)) normalised
    mz = 1.5 * math.exp(-2)
    np.testing.assert_allclose(m[:, 0, 16, 18], np.array([0, 1, mz]) / math.hypot(1, mz), atol=1e-14)
    np.testing.assert_allclose(m, start(Initial("vortex"), mesh)[:, :, ::-1, ::-1] * [[[[-1]]], [[[-1]]], [[[1]]]])


def test_a_state_from_a_file_is_normalised_and_must_fill_the_shape(tmp_path):
    mesh = Mesh(5, 5, (NM, NM, NM))
    values = 2.5 * start(Initial("wall", position_m=2 * NM, width_m=NM), mesh, Geometry("disc"))
    ovf.write(tmp_path / "m.ovf", values, mesh.cell_m, format="binary8")
    initial = Initial("file", file=data_file(tmp_path / "m.ovf"))
    np.testing.assert_allclose(start(initial, mesh, Geometry("disc")), values / 2.5, atol=1e-15)
    with pytest.raises(UserError, match="m.ovf: found a zero vector in a magnetic cell"):
        start(initial, mesh)


def test_states_that_cannot_be():
    mesh = Mesh(5, 5, (NM, NM, NM))
    with pytest.raises(UserError, match="initial.kind: found 'blob', allowed: uniform, wall, two_domains, vortex"):
        start(Initial("blob"), mesh)
    with pytest.raises(UserError, match="initial.direction: found a zero vector"):
        start(Initial("uniform", (0.0, 0.0, 0.0)), mesh)


# -- constants -------------------------------------------------------------------------------------------------------
MESH = Mesh(10, 4, (4e-9, 4e-9, 1e-9), 2)
LEFT = Region((0.0, 2e-8), (0.0, 1.0), (("Ku_J_per_m3", 1.5),), "left")


def everywhere() -> np.ndarray:
    return np.ones(MESH.shape, bool)


def test_uniform_constants_are_numbers():
    values = material.constants(track(mesh=MESH), everywhere())
    assert values["Ku_J_per_m3"] == 8e5 and all(isinstance(value, float) for value in values.values())
    whole = Region((0.0, 1.0), (0.0, 1.0), (("A_J_per_m", 0.5),))
    # an array even where it is the same everywhere: shapes follow from the problem and not from the mask
    stiffness = material.constants(track(mesh=MESH, regions=(whole,)), everywhere())["A_J_per_m"]
    assert stiffness.shape == MESH.shape and (stiffness == 7.5e-12).all()


def test_factors_of_overlapping_regions_multiply_inside_the_mask():
    lower = Region((0.0, 1.0), (0.0, 8e-9), (("Ku_J_per_m3", 2.0), ("alpha", 3.0)), "lower")
    mask = everywhere()
    mask[:, 0, 0] = False
    values = material.constants(track(mesh=MESH, regions=(LEFT, lower)), mask)
    ku = values["Ku_J_per_m3"]
    assert ku.shape == MESH.shape and ku.dtype == np.float64
    # x = 18 nm is left of 20 nm, y = 6 nm below 8 nm, and the next cells are not
    found = [ku[1, j, i] for j, i in ((1, 4), (1, 5), (2, 4), (2, 5), (0, 0))]
    assert found == pytest.approx([24e5, 16e5, 12e5, 8e5, 8e5], abs=0, rel=1e-15)
    assert values["alpha"][0, 1, 1] == pytest.approx(0.06, abs=0, rel=1e-15) and values["Ms_A_per_m"] == 1e6


def test_maps_come_from_files_and_are_multiplied_by_regions(tmp_path):
    ku = np.random.default_rng(1).uniform(7e5, 9e5, MESH.shape)
    ovf.write(tmp_path / "ku.ovf", ku, MESH.cell_m, format="binary8", name="Ku")
    problem = track(mesh=MESH, regions=(LEFT,), maps=(Map("Ku_J_per_m3", data_file(tmp_path / "ku.ovf")),))
    values = material.constants(problem, everywhere())["Ku_J_per_m3"]
    np.testing.assert_allclose(values[..., :5], 1.5 * ku[..., :5], rtol=1e-15)
    np.testing.assert_array_equal(values[..., 5:], ku[..., 5:])


def test_constants_that_cannot_be(tmp_path):
    ms = np.full(MESH.shape, 1e6)
    ms[0, 1, 2] = 0
    ovf.write(tmp_path / "ms.ovf", ms, MESH.cell_m)
    problem = track(mesh=MESH, maps=(Map("Ms_A_per_m", data_file(tmp_path / "ms.ovf")),))
    with pytest.raises(UserError, match="ms.ovf: Ms_A_per_m: found 0 in a magnetic cell, allowed: more than 0"):
        material.constants(problem, everywhere())
    assert (material.constants(problem, ms > 0)["Ms_A_per_m"] == 1e6).all()  # it lies outside the shape
    with pytest.raises(UserError, match="regions: found constant 'gamma', allowed: Ms_A_per_m"):
        material.constants(track(mesh=MESH, regions=(Region((0.0, 1.0), (0.0, 1.0), (("gamma", 2.0),)),)), everywhere())
