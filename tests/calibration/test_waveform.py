"""Tables of the voltage over time, in which pulses and reads are rows of their own."""

import numpy as np
import pandas as pd
import pytest

from calibration.counting.writes import REST
from calibration.sources.importers import import_file
from calibration.sources.tabular.waveform import fold
from spinloom.errors import UserError

READS = 3  # after each pulse
AT_V = 0.1


def waveform(reads_V: float = AT_V) -> tuple[pd.DataFrame, np.ndarray]:
    """Return voltages and currents of runs of 8 pulses up and 8 down, and the conductance after each pulse, S."""
    pulses = np.tile(np.repeat([1.2, -1.0], 8), 4)
    state = 1e-5 + np.concatenate([[0.0], np.cumsum(np.sign(pulses))]) * 1e-6
    rows = [(reads_V, reads_V * state[0])] * READS
    for number, volts in enumerate(pulses):
        rows += [(volts, volts * state[number]), *[(reads_V, reads_V * state[number + 1])] * READS]
    return pd.DataFrame(rows, columns=["Voltage (V)", "Current (A)"]), state


@pytest.mark.parametrize("case", ["no current during pulses", "currents of pulses", "sizes of currents"])
def test_a_pulse_and_its_reads_become_a_write_and_reads_at_rest(case, tmp_path):
    table, state = waveform()
    options = {}
    if case == "no current during pulses":
        table.loc[table["Voltage (V)"].abs() > 0.5, "Current (A)"] = np.nan
    if case == "sizes of currents":  # which could be reads after pulses of 0.1 V
        table["Current (A)"] = table["Current (A)"].abs()
        table.to_csv(tmp_path / "trace.csv", index=False)
        with pytest.raises(UserError, match="found read currents, allowed: only with option current_at_V"):
            import_file(tmp_path / "trace.csv", "traces")
        options = {"current_at_V": AT_V}
    table.to_csv(tmp_path / "trace.csv", index=False)
    result = import_file(tmp_path / "trace.csv", "traces", options)
    assert result.report.empty and "64 pulses, 195 readings" in " ".join(result.notes)
    writes = result.writes
    assert writes is not None and writes.readings is not None
    assert writes.pulses["voltage_V"].tolist() == [1.2, -1.0] and writes.read_voltage_V == AT_V
    events = writes.events.sort_values(["pulse", "replica"])
    assert events.groupby("pulse").size().tolist() == [32, 32]
    steps = (events["after"] - events["before"]).groupby(events["pulse"]).mean()
    assert steps.to_numpy() == pytest.approx([1e-6, -1e-6], rel=1e-6, abs=0)
    assert (writes.readings["pulse"] == REST).sum() == 1 + READS - 1 + 64 * (READS - 1)
    assert writes.readings["value"].to_numpy() == pytest.approx(np.repeat(state, READS), rel=1e-9, abs=0)


def test_a_pulse_without_a_read_is_a_reading_that_is_missing():
    voltage = np.array([0.1, 1.0, 0.1, 1.0, 1.0, 0.1, 1.0])
    reading = np.where(voltage < 1, 1.0, np.nan)
    found = fold(voltage, reading, True, None)
    assert found is not None and found.read_V == 0.1
    # the fourth row is a pulse that nobody read after; what follows the last read is not seen
    assert found.place.tolist() == [0, 2, 3, 5] and found.pulse.tolist() == [-1, 1, 3, 4]


def test_reads_after_each_pulse_are_no_waveform():
    voltage = np.tile([0.5, -1.2], 20)
    assert fold(voltage, np.full(40, 1e-6), True, None) is None  # currents of reads after pulses of 0.5 V
    assert fold(voltage, np.full(40, 1e-6), True, 0.1) is None
    assert fold(voltage, np.where(np.arange(40) == 3, np.nan, 1e-6), False, None) is None  # a gap
