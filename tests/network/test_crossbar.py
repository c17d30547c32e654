"""The crossbar against Kirchhoff written branch by branch, closed forms, and laws every network obeys."""

import itertools

import numpy as np
import pytest

from network.crossbar import nodal_solver as solver
from spinloom.errors import UserError
from spinloom.streams import generator


def cells(n, m, *names):
    """Return conductances of n x m cells, 5 to 100 kohm, log-uniform."""
    return 10 ** generator(1, "crossbar", n, m, *names).uniform(-5, -3.7, (n, m))


def kirchhoff(conductance, row_V, column_V, wire, driver, sense):
    """Return (row node, column node voltages) from a dense Laplacian of named nodes, built one resistor at a time.

    Nodes joined by 0 ohm are one node. ``row_V`` and ``column_V``: the sources.
    """
    n, m = conductance.shape
    resistors = [((("r", i, j), ("c", i, j)), 1 / conductance[i, j]) for i in range(n) for j in range(m)]
    fixed = {}
    for i, j in itertools.product(range(n), range(m)):
        resistors.append(((("r", i, j - 1) if j else ("row", i), ("r", i, j)), wire))
        resistors.append(((("c", i, j), ("c", i + 1, j) if i + 1 < n else ("column", j)), wire))
    for kind, sources, end in (("row", row_V, driver), ("column", column_V, sense)):
        for line, voltage in enumerate(sources):
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
    """Of these arrays every single entry falls when any wire's resistance grows."""
    g, entries = cells(12, 10), []
    for wire in (0.0, 0.1, 1.0, 10.0, 100.0):
        entries.append(solver.transfer(g, wire, 10.0, 10.0))
    assert np.all(np.diff(entries, axis=0) < 0) and np.all(entries[-1] > 0)


def test_scaling_all_resistances_scales_the_currents():
    g = cells(7, 6)
    small = solver.transfer(1e-6 * g, 4e6, 2e8, 3e7)
    np.testing.assert_allclose(small, 1e-6 * solver.transfer(g, 4.0, 200.0, 30.0), rtol=1e-12, atol=0)


def test_tiles_have_lines_of_their_own():
    g = cells(20, 11)
    found = solver.tiled_transfer(g, 8, 6, 5.0, driver_resistance_ohm=100.0)
    assert [(r.start, r.stop, c.start, c.stop) for r, c in solver.tiles(g.shape, 8, 6)] == [
        (0, 8, 0, 6), (0, 8, 6, 11), (8, 16, 0, 6), (8, 16, 6, 11), (16, 20, 0, 6), (16, 20, 6, 11),
    ]  # fmt: skip
    np.testing.assert_array_equal(found[16:, 6:], solver.transfer(g[16:, 6:], 5.0, 100.0))
    assert np.all(found > solver.transfer(g, 5.0, 100.0))  # shorter wires


G = np.full((3, 4), 1e-4)


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
])  # fmt: skip
def test_refuses(call, words):
    with pytest.raises(UserError, match=words):
        call()
