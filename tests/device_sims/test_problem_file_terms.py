"""Problem files: periodic directions, couplings, grains and the less common constants."""

import pytest

from device_sims.problem import Coupling, Grains, Region, problem_file
from spinloom.errors import UserError
from tests.device_sims.test_problem_file import changed, write

REGIONS = [
    {"name": "left", "x_m": [0, 8e-9], "y_m": [0, 1], "axis": [0, 0, -2]},
    {"name": "right", "x_m": [8e-9, 1], "y_m": [0, 1], "factors": {"Kc1_J_per_m3": 0.5}},
]


def loaded(tmp_path, **content):
    """Return the problem of the tests' file with other keys at its top level or in its material and mesh."""
    file = changed("regions", REGIONS)
    for name, value in content.items():
        file[name] = {**file[name], **value} if name in ("material", "mesh") else value
    return problem_file.load(write(tmp_path, file))[0]


def test_every_key_reaches_the_problem(tmp_path):
    problem = loaded(
        tmp_path,
        mesh={"periodic": [3, 0]},
        material={
            "Ku_J_per_m3": 8e5, "Kc1_J_per_m3": 1e4, "Kc2_J_per_m3": -2e4, "cubic_axes": [[0, 3, 4], [2, 0, 0]],
            "second_Ku_J_per_m3": 5e4, "second_axis": [0, 0, 7], "Dbulk_J_per_m2": 1e-3, "alpha": 0,
        },
        couplings=[
            {"regions": ["left", "right"], "factor": 0.9}, {"regions": ["left"], "A_J_per_m": 1e-12},
            {"regions": ["right"], "J_J_per_m2": -1e-3},
        ],
        grains={
            "size_m": 1e-8, "instance": 4, "Ku_spread": 0.1, "Kc1_spread": 0.2, "Ms_spread": 0.05, "tilt_rad": 0.1,
            "random_cubic_axes": True, "exchange_factor": 0.7,
        },
        seed=11,
    )  # fmt: skip
    material = problem.material
    assert problem.mesh.periodic == (3, 0) and problem.mesh.wraps == (False, False, True)
    assert (material.Kc1_J_per_m3, material.Kc2_J_per_m3, material.Dbulk_J_per_m2) == (1e4, -2e4, 1e-3)
    assert material.cubic_axes == ((0, 0.6, 0.8), (1, 0, 0)) and material.alpha == 0
    assert (material.second_Ku_J_per_m3, material.second_axis) == (5e4, (0, 0, 1))
    assert problem.regions[0] == Region((0, 8e-9), (0, 1), (), "left", axis=(0, 0, -1))
    assert problem.couplings == (
        Coupling(("left", "right"), factor=0.9),
        Coupling(("left",), A_J_per_m=1e-12),
        Coupling(("right",), J_J_per_m2=-1e-3),
    )
    assert problem.grains == Grains(1e-8, 11, 4, 0.1, 0.2, 0.05, 0.1, True, 0.7)
    assert type(problem).from_dict(problem.to_dict()) == problem


def test_a_file_without_these_keys_has_the_identity_that_it_had(tmp_path):
    problem, _ = problem_file.load(write(tmp_path, changed("material.alpha", 0.1)))
    said = problem.identity()
    assert "couplings" not in said and "grains" not in said and "periodic" not in said["mesh"]
    assert not {"Kc1_J_per_m3", "cubic_axes", "second_axis", "Dbulk_J_per_m2"} & set(said["material"])
    repeated = loaded(tmp_path, mesh={"periodic": [1, 0]}, regions=[]).identity()
    assert repeated["mesh"]["periodic"] == [1, 0]


@pytest.mark.parametrize(
    "content, message",
    [
        (
            {"couplings": [{"regions": ["left"]}]},
            "couplings.0: found none of factor, A_J_per_m, J_J_per_m2, allowed: exactly one of them",
        ),
        ({"couplings": [{"factor": 1}]}, "couplings.0: found none of regions, layers, allowed: exactly one of"),
        (
            {"couplings": [{"layers": [0, 1], "factor": 1, "J_J_per_m2": 1e-3}]},
            "couplings.0: found factor and J_J_per_m2 of factor, A_J_per_m, J_J_per_m2",
        ),
        (
            {"couplings": [{"layers": [0, 1], "factor": 1}]},
            "couplings.0.layers: found 0 and 1, allowed: two layers from 0 to 0",
        ),
        ({"couplings": [{"regions": ["top"], "factor": 1}]}, "couplings.0.regions: found 'top', allowed: left, right"),
        ({"grains": {"size_m": 1e-8, "Ku_spread": 0.1}, "material": {"Ku_J_per_m3": 0}}, "grains.Ku_spread: found 0.1"),
        (
            {"grains": {"size_m": 1e-8, "random_cubic_axes": True}},
            "grains.random_cubic_axes: found True",
        ),
        ({"grains": {"size_m": 1e-8, "Ms_spread": 1.0}, "seed": 2}, "grains: Ms_A_per_m: found -"),
        ({"grains": {"size_m": 1e-12}}, "grains.size_m: found 1e-12, which makes"),
        ({"material": {"cubic_axes": [[1, 0, 0], [1, 1, 0]]}}, "material.cubic_axes: found [1.0, 0.0, 0.0] and [0.7"),
        ({"mesh": {"periodic": [1000, 1000]}}, "mesh.periodic: found"),
        ({"material": {"Kc1": 1e4}}, "material: found unknown key 'Kc1' (mumax3's Kc1 is material.Kc1_J_per_m3 here)"),
        ({"material": {"Dbulk": 1e-3}}, "material: found unknown key 'Dbulk' (mumax3's Dbulk is material"),
    ],
)
def test_errors_name_the_key(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        loaded(tmp_path, **content)
    assert message in str(error.value) and "\n" not in str(error.value)
