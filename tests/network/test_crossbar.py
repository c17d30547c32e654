"""The crossbar against Kirchhoff written branch by branch, closed forms, and laws every network obeys."""

import itertools

import numpy as np
import pytest

from network.crossbar import nodal_solver as solver
from spinloom.errors import UserError
from spinloom.streams import generator

OPEN = None  # a line end that is connected to nothing


def cells(n, m, *names):
    """Return conductances of n x m cells, 5 to 100 kohm, log-uniform."""
    return 10 ** generator(1, "crossbar", n, m, *names).uniform(-5, -3.7, (n, m))


def kirchhoff(conductance, row_V, column_V, wire, driver, sense):
    """Return (row node, column node voltages) from a dense Laplacian of named nodes, built one resistor at a time.

    Nodes joined by 0 ohm are one node. ``row_V`` and ``column_V``: the sources, OPEN for lines that float.
    """
    n, m = conductance.shape
    resistors = [((("r", i, j), ("c", i, j)), 1 / conductance[i, j]) for i in range(n) for j in range(m)]
    fixed = {}
    for i, j in itertools.product(range(n), range(m)):
        resistors.append(((("r", i, j - 1) if j else ("row", i), ("r", i, j)), wire))
        resistors.append(((("c", i, j), ("c", i + 1, j) if i + 1 < n else ("column", j)), wire))
    for kind, sources, end in (("row", row_V, driver), ("column", column_V, sense)):
        for line, voltage in enumerate(sources):
            if voltage is not OPEN:
                fixed["source", kind, line] = voltage
                resistors.append((((kind, line), ("source", kind, line)), end))
    joined = {node: node for ends, _ in resistors for node in ends}

    def find(node):
        while joined[node] != node:
            node = joined[node]
        return node

    for (a, b), ohm in resistors:
        if ohm == 0 and find(a) != find(b):
            joined[find(a)] = find(b)
    held = {find(node): voltage for node, voltage in fixed.items()}
    number = {node: k for k, node in enumerate(sorted({find(node) for node in joined}, key=str))}
    laplacian = np.zeros((len(number), len(number)))
    for (a, b), ohm in resistors:
        if ohm > 0:
            p, q = number[find(a)], number[find(b)]
            laplacian[[p, q], [p, q]] += 1 / ohm
            laplacian[[p, q], [q, p]] -= 1 / ohm
    known = [number[node] for node in held]
    unknown = [k for k in range(len(number)) if k not in known]
    voltage = np.zeros(len(number))
    voltage[known] = list(held.values())
    inner = laplacian[np.ix_(unknown, unknown)]
    voltage[unknown] = np.linalg.solve(inner, -laplacian[np.ix_(unknown, known)] @ voltage[known])
    return tuple(
        np.array([[voltage[number[find((kind, i, j))]] for j in range(m)] for i in range(n)]) for kind in ("r", "c")
    )


def dense_transfer(conductance, *resistances):
    n, m = conductance.shape
    rows = []
    for i in range(n):
        row, column = kirchhoff(conductance, np.eye(n)[i], np.zeros(m), *resistances)
        rows.append(np.sum(conductance * (row - column), axis=0))
    return np.array(rows)


@pytest.mark.parametrize("resistances", [
    (3.0, 0.0, 0.0), (3.0, 200.0, 50.0), (2e4, 0.0, 700.0), (0.5, 1e4, 0.0), (0.0, 200.0, 0.0), (0.0, 0.0, 50.0),
    (0.0, 200.0, 50.0),
])  # fmt: skip
def test_transfer_solves_kirchhoff_for_all_sizes(resistances):
    for n, m in itertools.product(range(1, 7), range(1, 8)):
        if max(n, m) < 4 or (n + m) % 3 == 0 or (n, m) == (6, 7):  # both branches, every shape of edge
            g = cells(n, m)
            expected = dense_transfer(g, *resistances)
            np.testing.assert_allclose(solver.transfer(g, *resistances), expected, rtol=0, atol=1e-11 * g.max())


def test_without_resistance_the_cells_are_what_one_reads():
    g = cells(40, 30)
    assert np.array_equal(solver.transfer(g), g)
    assert np.array_equal(solver.tiled_transfer(g, 16, 7), g)
    g[3:5, 7] = 0.0
    assert np.array_equal(solver.transfer(g), g)


def test_first_order_in_the_wire_holds_down_to_any_wire():
    """T = G (1 - r sum_l (min(j, l) + 1) G_il - r sum_p (n - max(p, i)) G_pj): current shares segments with its own row
    and its own column. The rest is of order (r G)^2 and, below r = 1e-6 ohm, rounding."""
    g = cells(20, 30)
    rows, columns = np.arange(20), np.arange(30)
    loss = g @ (np.minimum.outer(columns, columns) + 1) + (20 - np.maximum.outer(rows, rows)) @ g
    for wire, slack in ((1e-2, 1e-3), (1e-5, 1e-6), (1e-9, 1e-4)):
        found = (1 - solver.transfer(g, wire) / g) / (wire * loss)
        np.testing.assert_allclose(found, 1.0, rtol=0, atol=slack)
    assert np.max(np.abs(solver.transfer(g, 1e-30) / g - 1)) < 1e-15
    floating = solver.read_cell(g, 3, 4, "floating")
    assert solver.read_cell(g, 3, 4, "floating", 1e-12) == pytest.approx(floating, rel=1e-12, abs=0)


def test_worst_corner_of_a_uniform_array():
    """The corner far from both ends loses N (N + 1) r G to first order: N^2 r G / 2 on each of its lines."""
    for size in (4, 32):
        g = np.full((size, size), 2e-4)
        loss = 1 - solver.transfer(g, 1e-3) / g
        assert np.unravel_index(loss.argmax(), loss.shape) == (0, size - 1)
        assert loss.max() == pytest.approx(size * (size + 1) * 1e-3 * 2e-4, rel=1e-3, abs=0)


def test_one_cell_is_a_chain_of_resistors():
    assert solver.transfer([[1 / 5e3]], 3.0, 100.0, 20.0).item() == pytest.approx(1 / 5126, rel=1e-14, abs=0)


def test_one_row_is_a_ladder():
    """Columns end at ground behind one wire segment: looking to the right the resistance is a continued fraction."""
    g = cells(1, 5)
    branch = 1 / g[0] + 3.0 + 20.0
    beyond = np.inf  # resistance from node j to the right, its own branch included
    resistance = []
    for own in branch[::-1]:
        beyond = 1 / (1 / own + 1 / (3.0 + beyond))
        resistance.append(beyond)
    voltage, ahead, expected = 1.0, 100.0 + 3.0, []
    for own, right in zip(branch, resistance[::-1], strict=True):
        voltage *= right / (right + ahead)
        ahead = 3.0
        expected.append(voltage / own)
    np.testing.assert_allclose(solver.transfer(g, 3.0, 100.0, 20.0)[0], expected, rtol=1e-13, atol=0)


def test_two_cells_share_their_column():
    """Two rows, one column without wires: I_1 = V / (R_1 + S || R_2) split between S and R_2."""
    first, second, sense = 5e3, 8e3, 1e3
    parallel = sense * second / (sense + second)
    expected = parallel / (first + parallel) / sense
    found = solver.transfer([[1 / first], [1 / second]], sense_resistance_ohm=sense)
    assert found[0, 0] == pytest.approx(expected, rel=1e-14, abs=0)


def test_reciprocity():
    """Seen from the columns the same array, turned round, has the same transfer; driver and sense change places."""
    for n, m in ((9, 5), (5, 9), (8, 8)):
        g = cells(n, m)
        turned = solver.transfer(g[::-1, ::-1].T.copy(), 4.0, 30.0, 200.0)
        np.testing.assert_allclose(turned[::-1, ::-1].T, solver.transfer(g, 4.0, 200.0, 30.0), rtol=1e-12, atol=0)


def test_many_lines_are_solved_in_portions(monkeypatch):
    g = cells(11, 7)
    whole = solver.transfer(g, 4.0, 20.0, 10.0), solver.transfer(g.T, 4.0, 20.0, 10.0)
    monkeypatch.setattr(solver, "CHUNK", 3)
    for found, expected in zip((solver.transfer(a, 4.0, 20.0, 10.0) for a in (g, g.T)), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)


def test_more_wire_is_less_current():
    """Power from any sources falls when any resistor grows (Rayleigh); of these arrays every single entry does too."""
    g = cells(12, 10)
    voltage = generator(1, "crossbar", "power").normal(size=12)
    power, entries = [], []
    for wire in (0.0, 0.1, 1.0, 10.0, 100.0):
        power.append(float(voltage @ solver.currents(g, voltage, wire, 10.0, 10.0).row_current_A))
        entries.append(solver.transfer(g, wire, 10.0, 10.0))
    assert np.all(np.diff(power) < 0)
    assert np.all(np.diff(entries, axis=0) < 0) and np.all(entries[-1] > 0)


def test_scaling_all_resistances_scales_the_currents():
    g = cells(7, 6)
    small = solver.transfer(1e-6 * g, 4e6, 2e8, 3e7)
    np.testing.assert_allclose(small, 1e-6 * solver.transfer(g, 4.0, 200.0, 30.0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("resistances", [(0.0, 0.0, 0.0), (5.0, 0.0, 0.0), (5.0, 100.0, 40.0), (0.0, 100.0, 40.0)])
def test_currents_obey_superposition_and_energy_conservation(resistances):
    g = cells(9, 6)
    voltage = generator(1, "crossbar", "voltage").uniform(-0.2, 0.2, 9)
    found = solver.currents(g, voltage, *resistances)
    scale = np.abs(found.column_current_A).max()
    np.testing.assert_allclose(found.column_current_A, voltage @ solver.transfer(g, *resistances), 0, 1e-12 * scale)
    row, column = kirchhoff(g, voltage, np.zeros(6), *resistances)
    np.testing.assert_allclose(found.row_node_V, row, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.column_node_V, column, rtol=0, atol=1e-12)
    assert found.row_current_A.sum() == pytest.approx(found.column_current_A.sum(), rel=0, abs=1e-12 * scale)
    dissipated = found.cell_power_W.sum() + found.wire_power_W + found.driver_power_W + found.sense_power_W
    assert voltage @ found.row_current_A == pytest.approx(dissipated, rel=1e-11, abs=0)
    shares = (found.wire_power_W, found.driver_power_W, found.sense_power_W)
    assert [share > 0 for share in shares] == [ohm > 0 for ohm in resistances]


def test_tiles_have_lines_of_their_own():
    g = cells(20, 11)
    found = solver.tiled_transfer(g, 8, 6, 5.0, driver_resistance_ohm=100.0)
    assert [(r.start, r.stop, c.start, c.stop) for r, c in solver.tiles(g.shape, 8, 6)] == [
        (0, 8, 0, 6), (0, 8, 6, 11), (8, 16, 0, 6), (8, 16, 6, 11), (16, 20, 0, 6), (16, 20, 6, 11),
    ]  # fmt: skip
    np.testing.assert_array_equal(found[16:, 6:], solver.transfer(g[16:, 6:], 5.0, 100.0))
    assert np.all(found > solver.transfer(g, 5.0, 100.0))  # shorter wires


ROWS, COLUMNS = [1], [2, 0]  # two cells written at once


@pytest.mark.parametrize("scheme,half_row,half_column,rest", [
    ("V/2", 1 / 2, 1 / 2, 0.0), ("V/3", 1 / 3, 1 / 3, -1 / 3), ("1T1R", 0.0, 0.0, 0.0),
])  # fmt: skip
@pytest.mark.parametrize("voltage", [0.9, -0.6])
def test_schemes_without_wires(scheme, half_row, half_column, rest, voltage):
    found = solver.write_voltages(cells(4, 5), ROWS, COLUMNS, voltage, scheme) / voltage
    expected = np.full((4, 5), rest)
    expected[1], expected[:, [0, 2]], expected[1, [0, 2]] = half_row, half_column, 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    half = solver.half_selected((4, 5), ROWS, COLUMNS)
    assert half.sum() == 3 + 2 * 3 and not half[1, 0] and half[1, 1] and half[0, 2] and not half[0, 1]


@pytest.mark.parametrize("scheme", solver.SCHEMES)
@pytest.mark.parametrize("resistances", [(6.0, 0.0, 0.0), (6.0, 300.0, 80.0), (0.0, 300.0, 80.0), (0.0, 0.0, 0.0)])
def test_write_voltages_solve_kirchhoff(scheme, resistances):
    g = cells(5, 6)
    fractions = {"V/2": (0.5, 0.5), "V/3": (1 / 3, 2 / 3), "floating": (OPEN, OPEN), "1T1R": (0.0, OPEN)}[scheme]
    shares = [[chosen if k in lines else fractions[axis] for k in range(count)]
              for axis, (lines, count, chosen) in enumerate(((ROWS, 5, 1.0), (COLUMNS, 6, 0.0)))]  # fmt: skip
    sources = [[OPEN if share is OPEN else 0.8 * share for share in line] for line in shares]
    conducting = np.where(np.isin(np.arange(5), ROWS)[:, None] | (scheme != "1T1R"), g, 1e-30)  # off: 1e30 ohm
    row, column = kirchhoff(conducting, *sources, *resistances)
    expected = np.where(conducting > 1e-29, row - column, 0.0)
    found = solver.write_voltages(g, ROWS, COLUMNS, 0.8, scheme, *resistances)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_a_transistor_leaves_one_chain_of_resistors():
    g = cells(6, 7)
    found = solver.write_voltages(g, [1], [3], 0.8, "1T1R", 5.0, 100.0, 40.0)
    series = 100.0 + 40.0 + 5.0 * (4 + 5)  # j + 1 segments of the row, n - i of the column
    assert found[1, 3] == pytest.approx(0.8 / (1 + g[1, 3] * series), rel=1e-12, abs=0)
    others = np.delete(found.ravel(), 1 * 7 + 3)
    assert np.all(np.abs(others) < 1e-13)


def test_wires_disturb_more_and_write_less():
    """The worst cell on the selected lines sees less than V when selected; unselected cells are no longer at 0."""
    g = np.full((16, 16), 1e-4)
    found = solver.write_voltages(g, [0], [15], 1.0, "V/2", 5.0)
    half = solver.half_selected(g.shape, [0], [15])
    assert found[0, 15] < 0.95 and found[half].max() < 0.5
    rest = ~half
    rest[0, 15] = False
    assert np.abs(found[rest]).max() > 1e-3


@pytest.mark.parametrize("n,m", [(2, 2), (5, 9), (30, 20)])
def test_sneak_path_of_a_uniform_array(n, m):
    expected = 1e-4 * (1 + 1 / (1 / (n - 1) + 1 / ((n - 1) * (m - 1)) + 1 / (m - 1)))
    found = solver.read_cell(np.full((n, m), 1e-4), n - 1, 0, "floating")
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


def test_reading_one_cell():
    g = cells(6, 5)
    assert solver.read_cell(g, 2, 3, "grounded") == g[2, 3]
    wires = (6.0, 300.0, 80.0)
    grounded = solver.read_cell(g, 2, 3, "grounded", *wires)
    assert grounded == pytest.approx(solver.transfer(g, *wires)[2, 3], rel=1e-12, abs=0)
    sources = [1.0 if i == 2 else OPEN for i in range(6)], [0.0 if j == 3 else OPEN for j in range(5)]
    row, column = kirchhoff(g, *sources, *wires)
    expected = float(g[:, 3] @ (row - column)[:, 3])
    assert solver.read_cell(g, 2, 3, "floating", *wires) == pytest.approx(expected, rel=1e-11, abs=0)
    assert expected > grounded


def test_floating_lines_of_one_line():
    """One row: a floating column carries nothing, the cell is read alone; one column likewise."""
    g = cells(1, 4)
    assert solver.read_cell(g, 0, 2, "floating") == pytest.approx(g[0, 2], rel=1e-14, abs=0)
    assert solver.read_cell(g.T, 2, 0, "floating") == pytest.approx(g[0, 2], rel=1e-14, abs=0)


G = np.full((3, 4), 1e-4)
HOLED = np.where(np.eye(3, 4) > 0, 0.0, G)


@pytest.mark.parametrize("call,words", [
    (lambda: solver.transfer(G[0]), r"crossbar: conductance_S: found shape \(4,\), allowed: rows x columns"),
    (lambda: solver.transfer(G[:0]), r"conductance_S: found shape \(0, 4\)"),
    (lambda: solver.transfer(-G), r"conductance_S: found -0.0001 at \(0, 0\), allowed: finite, at least 0"),
    (lambda: solver.transfer(G * np.nan), r"conductance_S: found nan at"),
    (lambda: solver.transfer(G, -1.0), r"wire_resistance_ohm: found -1.0, allowed: finite, at least 0"),
    (lambda: solver.transfer(G, 1.0, np.inf), r"driver_resistance_ohm: found inf"),
    (lambda: solver.transfer(G, 1.0, 1.0, np.nan), r"sense_resistance_ohm: found nan"),
    (lambda: solver.tiled_transfer(G, 0, 2), r"tile_rows: found 0, allowed: a whole number of at least 1"),
    (lambda: solver.tiled_transfer(G, 2, 2.5), r"tile_columns: found 2.5"),
    (lambda: solver.currents(G, [0.1, 0.1]), r"row_voltage_V: found shape \(2,\) or not finite, allowed: 3 finite"),
    (lambda: solver.currents(G, [0.1, 0.1, np.inf]), r"row_voltage_V: found shape \(3,\) or not finite"),
    (lambda: solver.write_voltages(G, [0], [0], 1.0, "V/4"), r"scheme: found V/4, allowed: 1T1R, V/2, V/3, floating"),
    (lambda: solver.write_voltages(G, [0], [0], np.nan, "V/2"), r"voltage_V: found nan"),
    (lambda: solver.write_voltages(G, [], [0], 1.0, "V/2"), r"selected rows: found \[\], allowed: different"),
    (lambda: solver.write_voltages(G, [0], [4], 1.0, "V/2"), r"selected columns: found \[4\], .* 0 to 3"),
    (lambda: solver.half_selected((3, 4), [1, 1], [0]), r"selected rows: found \[1, 1\]"),
    (lambda: solver.write_voltages(HOLED, [0], [0], 1.0, "floating"), r"found 0.0 at .*more than 0 at floating"),
    (lambda: solver.read_cell(HOLED, 0, 0, "floating"), r"found 0.0 at .*more than 0 at floating"),
    (lambda: solver.read_cell(G, 0, 0, "V/2"), r"unselected: found V/2, allowed: grounded, floating"),
    (lambda: solver.read_cell(G, 3, 0, "grounded"), r"selected rows: found \[3\], allowed: different ones of 0 to 2"),
])  # fmt: skip
def test_refuses(call, words):
    with pytest.raises(UserError, match=words):
        call()
