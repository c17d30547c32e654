"""The nearest preset of aihwkit: laws written as cards are found again, what is no step is refused or told."""

import ast
import json
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import special

from calibration.exports import export
from calibration.exports.presets import families, fit
from calibration.sources import library
from spinloom.errors import UserError
from tests.calibration.test_exports import replaced

STATES = 101
WEIGHT = np.linspace(-1, 1, STATES)


def rows(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return a normal step's share in each state's cell; beyond the ends it stays there."""
    edges = np.concatenate([[-np.inf], (WEIGHT[1:] + WEIGHT[:-1]) / 2, [np.inf]])
    return np.diff(special.ndtr((edges - WEIGHT[:, None] - mean[:, None]) / sd[:, None]), axis=1)


def of_law(up: np.ndarray, down: np.ndarray, sd_up: np.ndarray, sd_down: np.ndarray):
    kernel = np.stack([rows(up, sd_up), rows(-down, sd_down)])
    return replaced(library.card("memristor_32_levels"), 1e-6 * (3 + 2 * WEIGHT), kernel)


def made(card, **options):
    return json.loads(export(card, "aihwkit", options).files["aihwkit_device.json"])


# cells of a hundredth of the range add a twelfth of their square to the variance of a step
@pytest.mark.parametrize("asymmetry", [0.25, -0.25])
def test_constant_steps_with_an_asymmetry(asymmetry):
    up, down = (0.08 * min(1, 1 + sign * asymmetry) * np.ones(STATES) for sign in (1, -1))
    found = made(of_law(up, down, 0.4 * up, 0.4 * down))
    assert found["device"] == "ConstantStepDevice"
    told = found["parameters"]
    assert told["dw_min"] == pytest.approx(0.08, abs=0, rel=0.01)
    assert told["up_down"] == pytest.approx(asymmetry, abs=0.01)
    assert told["dw_min_std"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("multiplied", [True, False])
def test_linear_steps_of_both_kinds_of_noise(multiplied):
    up, down = 0.08 * (1 - 0.5 * WEIGHT), 0.06 * (1 + 0.3 * WEIGHT)
    spread = (0.4 * up, 0.4 * down) if multiplied else (0.032 * np.ones(STATES), 0.024 * np.ones(STATES))
    found = made(of_law(up, down, *spread))
    told = found["parameters"]
    assert (found["device"], told["mult_noise"]) == ("LinearStepDevice", multiplied)
    assert (told["gamma_up"], told["gamma_down"]) == pytest.approx((0.5, 0.3), abs=0.02)
    assert told["up_down"] == pytest.approx(0.25, abs=0.01)
    assert told["dw_min_std"] == pytest.approx(0.4, abs=0.03)


def test_steps_between_knots():
    v = np.interp(WEIGHT, [-1, 0, 1], [1.5, 0.5, 1.5])
    found = made(of_law(0.08 * v, 0.08 * v[::-1], 0.032 * v, 0.032 * v))
    assert found["device"] == "PiecewiseStepDevice"
    told = found["parameters"]
    sizes = np.array(told["piecewise_up"]) * told["dw_min"]
    np.testing.assert_allclose(sizes[[0, len(sizes) // 2, -1]], [0.12, 0.04, 0.12], rtol=0, atol=0.008)


def test_the_spread_within_a_state_is_write_noise():
    card = of_law(*(0.08 * np.ones(STATES),) * 2, *(0.03 * np.ones(STATES),) * 2)
    card.states["conductance_sd_S"] = 1e-7
    found = made(card)
    assert found["device"] == "PiecewiseStepDevice" and found["parameters"]["piecewise_up"] == [1.0]
    # 4 uS are 2 weights
    assert found["parameters"]["write_noise_std"] * found["parameters"]["dw_min"] == pytest.approx(
        0.05, abs=0, rel=1e-6
    )


@pytest.mark.long
def test_the_module_compiles_and_losses_are_told():
    result = export(library.card("ecram_101_levels"), "aihwkit")
    tree = ast.parse(result.files["aihwkit_device.py"])
    assert {"DEVICE", "RPU_CONFIG"} <= {node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)}
    told = result.table()
    assert (told.query("quantity == 'mean step'")["value"] < 0.02).all()
    # a counter whose steps are no normal ones is told loudly
    counter = export(library.card("skyrmion_counter"), "aihwkit").table()
    assert (counter.query("quantity == 'mean step'")["value"] > 0.2).all()


def test_more_parameters_are_never_less_likely():
    counts = library.card("ecram_101_levels").kernel * 100
    laws = {one.name: fit(one, WEIGHT, counts).log_likelihood for one in families(STATES)[:4]}
    assert laws["linear"] >= laws["constant"] - 1e-3 and laws["additive"] >= laws["constant"] - 1e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [("gt_stt_mtj_28nm", "found two states, allowed"), ("ellis_gate", "found a volatile device, allowed")],
)
def test_what_is_no_step_is_refused(name, message):
    with pytest.raises(UserError, match=f"^export as aihwkit: {message}") as error:
        export(library.card(name), "aihwkit")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(find_spec("aihwkit") is None, reason="aihwkit is not installed (benchmarks/interchange.py)")
def test_the_real_package_takes_the_device(tmp_path):
    for name in ("memristor_32_levels", "ecram_101_levels", "skyrmion_counter"):
        space: dict = {}
        exec(export(library.card(name), "aihwkit").files["aihwkit_device.py"], space)  # noqa: S102
        assert space["RPU_CONFIG"].device is space["DEVICE"]
