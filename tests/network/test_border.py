"""What devices compute and what is digital, layer by layer: said of real trainings' meters, and the same as charged."""

import pandas as pd
import pytest

from network.hardware import border
from network.hardware.run import Run
from network.hardware.terms import terms
from network.synapse.device import DeviceModel
from network.training.settings import check
from spinloom.border import SHOWN, shown
from tests.network.conftest import make_card
from tests.network.test_costs import float_meter, meter

SECTION = {
    "dataset": "digits", "layers": ["8x8x1", "4C3ps2", "MP2", "6C3p", "5C3p", "+2", "GAP", "D0.25", 10],
    "rule": "accumulate_quantise_program", "rule_options": {"margin": 0.1}, "epochs": 1, "batch_size": 20,
    "validation_images": 200, "seed": 1, "seeds": 1, "activation": "tanh",
    "optimizer": {"name": "adam", "learning_rate": 0.01},
}  # fmt: skip
# rows, columns and places of the arrays: a first convolution, a block of two with its projection, the classes
LAYERS = [(9, 4, 16), (36, 6, 4), (54, 5, 4), (4, 5, 4), (5, 10, 1)]


@pytest.fixture(scope="module")
def device():
    return DeviceModel.from_card(make_card())


def words(table):
    return pd.DataFrame(shown(table), columns=list(SHOWN))


def made(device, of_meter=meter, told=None, shapes=LAYERS, **changes):
    counts = len(shapes)
    settings = check({**SECTION, **changes})
    own = {"devices_by_state": [[1] * 5] * counts, "writes_by_layer": [31, *[0] * (counts - 1)]}
    known = of_meter(layers=shapes, **(own if of_meter is meter else {}), **(told or {}))
    run = Run.of(known, device, settings)
    return run, border.layer_table(run, settings)


def test_each_array_and_what_follows_it(device):
    _, table = made(device)
    assert table["kind"].tolist() == ["convolution 3 x 3"] * 3 + ["projection", "dense"]
    assert list(zip(table["inputs"], table["outputs"], table["uses"], strict=True)) == LAYERS
    assert table["after"].tolist() == [
        "maximum of 2 x 2; batch normalisation; tanh",
        "batch normalisation; tanh",
        "batch normalisation",
        "batch normalisation; sum with layer 3; tanh; mean of 2 x 2; dropout 0.25 while training",
        "batch normalisation",
    ]
    assert set(table["inference"]) == set(table["training_forward"]) == {"devices"}
    assert table["training_backward"].tolist() == ["none"] + ["devices"] * 4 and set(table["gradient"]) == {"digital"}


def test_a_block_that_adds_what_entered_it(device):
    shapes = [(9, 4, 16), (36, 6, 4), (54, 4, 4), (16, 10, 1)]
    changes = {"layers": ["8x8x1", "4C3ps2", "MP2", "6C3p", "4C3p", "+2", 10], "normalisation": "none"}
    _, table = made(device, shapes=shapes, **changes)
    assert table["after"].tolist()[2] == "bias; sum with what enters layer 2; tanh"


@pytest.mark.parametrize("told", [
    {}, {"uses_device": False}, {"outer": True}, {"clocks": [1.0, 2.0, 0.0, 0.0, 0.0], "uses_device": False},
], ids=["in place", "deployed", "outer products", "clocked"])  # fmt: skip
def test_the_border_is_the_one_that_is_charged(device, told):
    """A product in devices is read there and no digital product; a digital one is the other way round."""
    run, table = made(device, told=told)
    energy = {(term.phase, term.name): term.energy_J for term in terms(run)}
    for phase, columns in (("inference", ["inference"]), ("training", ["training_forward", "training_backward"])):
        found = set(table[columns].to_numpy().ravel()) - {"none"}
        if phase == "training":
            found |= set(table["gradient"])
        assert (energy[phase, "reads"] > 0) == ("devices" in set(table[columns].to_numpy().ravel())), phase
        digital = run.digital_products(phase) > 0
        assert digital == ("digital" in found), phase


def test_a_float_network_has_no_devices_and_no_converters(device):
    _, table = made(device, float_meter, converters={"dac_bits": 6, "adc_bits": 6})
    assert set(table[["inference", "training_forward", "gradient"]].to_numpy().ravel()) == {"digital"}
    assert table["dac_bits"].isna().all() and not table["devices"].any()
    assert set(words(table)["DAC / ADC (bit)"]) == {"-"}


def test_groups_of_rows_are_added_as_numbers(device):
    _, table = made(
        device, array={"partial_sums": "digital", "tile_rows": 16}, converters={"dac_bits": 6, "adc_bits": 7}
    )
    assert table["after"].str.startswith("sum of 4 groups of rows; ").tolist() == [False, False, True, False, False]
    assert table["after"][1].startswith("sum of 3 groups")
    assert set(table["adc_bits"]) == {7} and set(words(table)["DAC / ADC (bit)"]) == {"6 / 7"}


def test_given_weights_are_not_trained_and_may_lack_normalisations(device):
    names = [f"a{number}" for number in range(5)]
    given = {
        "file": "w.npz", "names": names, "dense": "out_in", "convolution": "OIHW", "flatten": "CHW",
        "norms": [None, *names[1:]], "norm_before_pool": False,
    }  # fmt: skip
    changes = {"pretrained": given, "epochs": 0, "rule": "train_then_deploy", "rule_options": {}, "activation": "relu"}
    _, table = made(device, told={"epochs": 0, "samples": 0, "uses_device": False, "pretrained": "0" * 64}, **changes)
    assert set(table[["training_forward", "training_backward", "gradient"]].to_numpy().ravel()) == {"none"}
    assert table["after"][0] == "maximum of 2 x 2; bias; relu" and table["after"][1].startswith("batch")


def test_variants_of_one_border_share_rows(device):
    table = pd.concat([made(device)[1].assign(variant=name) for name in ("a", "b")])
    other = made(device, float_meter)[1].assign(variant="c")
    told = words(pd.concat([table, other]))
    assert told["variant"].tolist() == ["a, b"] * 5 + ["c"] * 5
    assert told["training in devices"].tolist()[:2] == ["forward", "forward, backward"]
    assert told["array"][0] == "9 x 4, 16 times a sample" and told["array"][4] == "5 x 10"
