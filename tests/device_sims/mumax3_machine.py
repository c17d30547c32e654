"""What the stand-in for mumax3 (`mumax3_fake.py`) makes of a script: language, files and formulas of mumax3 3.11.1.

It executes the part of mumax3's script language that Spinloom writes and integrates the torques of mumax3's CUDA
sources, written here as formulas in float64 on arrays ``[nz, ny, nx]`` and without stray field, so what it makes of a
script is what a user of mumax3 would have meant by it. ``FAKE_MUMAX3`` names a failure to show.

Two habits of mumax3 are kept because scripts depend on them: a function of time is evaluated again only if the time has
changed since the last evaluation, and a material without an own seed draws the noise of seed 0.
"""

from __future__ import annotations

import math
import os
import re
import sys
from pathlib import Path

SOURCE = "/home/builder/go/src/github.com/mumax/3"
STACK = "\n\ngoroutine 1 [running, locked to thread]:\ngithub.com/mumax/3/engine.Run(0x3e112e0be826d695)\n\t" + SOURCE
PARAMETERS = {
    "msat": 1, "aex": 1, "alpha": 1, "dind": 1, "ku1": 1, "ku2": 1, "anisu": 3, "pol": 1, "lambda": 1,
    "epsilonprime": 1, "fixedlayer": 3, "freelayerthickness": 1, "xi": 1, "temp": 1, "b_ext": 3, "j": 3,
    "dbulk": 1, "kc1": 1, "kc2": 1, "anisc1": 3, "anisc2": 3,
}  # fmt: skip
VARIABLES = {
    "gammall": 1.7595e11, "enabledemag": True, "openbc": False, "disableslonczewskitorque": False,
    "disablezhanglitorque": False, "fixdt": 0.0, "maxerr": 1e-5, "relaxtorquethreshold": -1.0, "outputformat": 4,
    "fixedlayerposition": 1, "maxdt": 0.0,
}  # fmt: skip
CONSTANTS = {"true": True, "false": False, "ovf2_binary": 4, "fixedlayer_top": 1, "fixedlayer_bottom": 2}
QUANTITIES = {"e_exch": "E_exch", "e_anis": "E_anis", "e_demag": "E_demag", "e_zeeman": "E_Zeeman"}
FUNCTIONS = {
    "setgridsize", "setcellsize", "ext_initgeomfromovf", "ext_interdind", "tableadd", "tablesave", "save", "steps",
    "ext_interexchange", "setpbc", "exp", "pow", "sinc", "mod", "max", "heaviside",
    "run", "relax", "setsolver", "thermseed", "thermreseed", "vector", "sin", "loadfile", "add", "setregion", "for",
}  # fmt: skip
FUNCTIONS |= {"tableautosave", "autosave", "twodomain", "transl"}  # which Spinloom does not write, and users do
OBJECTS = {"regions", "m", "t"}
MATHS = {
    "sin": math.sin, "exp": math.exp, "pow": math.pow, "mod": math.fmod, "max": max,
    "sinc": lambda x: math.sin(x) / x if x else 1.0, "heaviside": lambda x: 0.5 if x == 0 else float(x > 0),
}  # fmt: skip


def last_words(text: str, code: int) -> None:
    sys.stderr.write(text + "\n")
    sys.stdout.flush()
    sys.exit(code)


def go(value: float) -> str:
    """Return a number as Go prints it."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


class Parameter:
    """A quantity by region, with functions of time."""

    def __init__(self, np, components: int, value: float = 0.0):
        self.values = np.full((256, components), value)
        self.functions, self.stamp = {}, -math.inf

    def set(self, regions, value, function) -> None:
        for region in regions:
            self.functions.pop(region, None)
            if function is None:
                self.values[region] = value
            else:
                self.functions[region] = function

    def now(self, t: float):
        if self.stamp != t:
            values = {function: function(t) for function in set(self.functions.values())}
            for region, function in self.functions.items():
                self.values[region] = values[function]
            self.stamp = t
        return self.values


class Domains:
    """Two domains and the wall between them, at the middle of the box or beside it."""

    def __init__(self, mumax, m, shift=0.0):
        self.mumax, self.m, self.shift = mumax, m, shift

    def transl(self, x, y, z):
        return Domains(self.mumax, self.m, self.shift + x)

    def field(self):
        np, (nz, ny, nx), edge = self.mumax.np, self.mumax.counts, self.mumax.cell[0]
        x = (np.arange(nx) + 0.5 - nx / 2) * edge - self.shift
        left, wall, right = (np.array(self.m[place : place + 3], float)[:, None] for place in (0, 3, 6))
        line = np.where(x < 0, left, right) + wall * np.exp(-((x / 5e-9) ** 2))
        return np.broadcast_to(line[:, None, None, :], (3, nz, ny, nx))


class Mumax:
    def __init__(self, folder: Path, unknown: set[str] = frozenset()):
        import numpy as np

        self.np, self.folder, self.unknown = np, folder, unknown
        self.parameters = {name: Parameter(np, n) for name, n in PARAMETERS.items()}
        self.parameters["pol"].values[:] = self.parameters["lambda"].values[:] = 1.0
        self.variables, self.inter, self.inter_exchange = dict(VARIABLES), {}, {}
        self.periodic = (False, False, False)
        self.added = 0.0  # by B_ext.Add
        self.time, self.taken, self.saved, self.rows, self.columns = 0.0, 0, 0, 0, []
        self.cell = self.counts = self.m = self.mask = self.regions = None
        self.solver, self.seed, self.random, self.drawn = 5, 0, None, None
        self.relaxing, self.evaluations, self.saves = False, [], {}

    # -- the language ----------------------------------------------------------------------------------------------
    def compile(self, text: str) -> list:
        """Return statements, or stop with mumax3's words for a name that it does not know."""
        known = {*PARAMETERS, *VARIABLES, *CONSTANTS, *QUANTITIES, *FUNCTIONS, *OBJECTS} - self.unknown
        lines = [line.split("//")[0].strip() for line in text.splitlines()]
        for number, line in enumerate(lines, start=1):
            for name in re.findall(r"(?<![\w.])[A-Za-z_]\w*|(?<=\.)[A-Za-z]\w+", re.sub(r'"[^"]*"', "", line)):
                if name.lower() not in known and name != "i":
                    code = f"{SOURCE}/cmd/mumax3/main.go:114 script line {number}: {line}: undefined: {name}"
                    last_words(code, 1)
        return [line for line in lines if line]

    def execute(self, lines: list[str]) -> None:
        place = 0
        while place < len(lines):
            line, place = lines[place], place + 1
            if loop := re.fullmatch(r"for i := 0; i < (\d+); i\+\+ \{", line):
                end = lines.index("}", place)
                for _ in range(int(loop[1])):
                    self.execute(lines[place:end])
                place = end + 1
            elif found := re.fullmatch(r"(\w+)\.SetRegion\((\d+), (.+)\)", line):
                self.assign(found[1].lower(), [int(found[2])], found[3])
            elif found := re.fullmatch(r"(\w+) = (.+)", line):
                self.assign(found[1].lower(), range(256), found[2])
            elif found := re.fullmatch(r"B_ext\.Add\(LoadFile\((.+)\), 1\)", line):
                self.added = self.read(self.value(found[1]))[0]
            elif found := re.fullmatch(r"(\w+)\.LoadFile\((.+)\)", line):
                self.load(found[1].lower(), found[2])
            elif found := re.fullmatch(r"(\w+)\((.*)\)", line):
                getattr(self, found[1].lower())(*self.arguments(found[2]))
            else:
                last_words(f"{SOURCE}/cmd/mumax3/main.go:114 script line 1:1: expected statement: ", 1)

    def value(self, text: str, t: float = 0.0):
        names = {**MATHS, "vector": lambda *c: c, "t": t, **CONSTANTS, **{n: n for n in QUANTITIES}, "m": "m"}
        names["twodomain"] = lambda *m: Domains(self, m)
        return eval(re.sub(r'"[^"]*"|[A-Za-z_]\w+', lambda f: f[0].lower(), text), {"__builtins__": {}}, names)

    def arguments(self, text: str) -> tuple:
        return self.value(f"({text},)") if text else ()

    def assign(self, name: str, regions, text: str) -> None:
        if name in self.variables:
            self.variables[name] = self.value(text)
            return
        if name == "m":
            self.m = self.normal(self.value(text).field())
            return
        moving = re.search(r"\bt\b", text) is not None
        self.parameters[name].set(
            regions, *(None, lambda t: self.value(text, t)) if moving else (self.value(text), None)
        )

    # -- mesh and fields -------------------------------------------------------------------------------------------
    def read(self, name: str):
        """Return the components and cell edges of an OVF file of 4-byte numbers."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            last_words(f"{SOURCE}/engine/util.go:86 open {name}: no such file or directory", 1)
        head, _, body = content.partition(b"# Begin: Data Binary 4\n")
        fields = dict(re.findall(r"# (\w+): (\S+)", head.decode()))
        counts, components = [int(fields[f"{axis}nodes"]) for axis in "zyx"], int(fields["valuedim"])
        numbers = self.np.frombuffer(body, "<f4", 1 + components * math.prod(counts))
        assert numbers[0] == 1234567.0
        cell = tuple(float(fields[f"{axis}stepsize"]) for axis in "xyz")
        return self.np.moveaxis(numbers[1:].astype(float).reshape(*counts, components), -1, 0), cell

    def setgridsize(self, nx, ny, nz):
        self.counts = (nz, ny, nx)

    def setcellsize(self, *cell):
        self.cell = cell
        self.mesh(self.np.ones(self.counts, bool))

    def setpbc(self, nx, ny, nz):
        assert self.mask is None, "resizing is not done here"
        self.periodic = (nz > 0, ny > 0, nx > 0)

    def ext_initgeomfromovf(self, name):
        values, self.cell = self.read(name)
        self.mesh(values[0] != 0)

    def mesh(self, mask):
        self.mask, self.counts = mask, mask.shape
        self.regions = self.np.zeros(mask.shape, int)
        self.m = self.np.zeros((3, *mask.shape))

    def load(self, what, text):
        if self.mask is None:
            last_words("panic: need to set mesh first" + STACK + "/engine/mesh.go:147 +0x5c", 2)
        values, _ = self.read(self.value(text))
        if what == "regions":
            self.regions = values[0].astype(int)
        else:
            self.m = self.normal(values)

    def normal(self, m):
        m = m * self.mask
        length = self.np.sqrt((m * m).sum(0))
        return m / self.np.where(length > 0, length, 1)

    # -- physics, in T and T*m ---------------------------------------------------------------------------------------
    def cells(self, name):
        """Return a parameter now, ``[nz, ny, nx]`` or ``[3, nz, ny, nx]``."""
        values = self.parameters[name].now(self.time)[self.regions]
        return self.np.moveaxis(values, -1, 0) if PARAMETERS[name] > 1 else values[..., 0]

    def exchange_field(self, m):
        """2A/Ms d^2 (m' - m), and D/Ms d of what DMI adds; bonds that are missing are missing (OpenBC).

        Interfacial DMI is that of cuda/dmi.cu, bulk DMI that of cuda/dmibulk.cu; mumax3 stops if it is given both.
        """
        np = self.np
        assert self.variables["openbc"]
        a, d, bulk, ms = self.cells("aex"), self.cells("dind"), self.cells("dbulk"), self.cells("msat")
        assert not (d.any() and bulk.any()), "Cannot have interfacial-induced DMI and bulk DMI at the same time"
        field = np.zeros_like(m)
        for axis, edge in zip((2, 1, 0), self.cell):
            for side in (1, -1):
                exists = self.mask & np.roll(self.mask, -side, axis)
                if not self.periodic[axis]:
                    exists[(slice(None),) * axis + (-1 if side > 0 else 0,)] = False
                regions, there = self.regions, np.roll(self.regions, -side, axis)
                near, d_near, m2 = np.roll(a, -side, axis), np.roll(d, -side, axis), np.roll(m, -side, axis + 1)
                mean = 2 / (1 / a + 1 / near)
                for (one, other), value in self.inter_exchange.items():
                    mean = np.where(
                        (regions == one) & (there == other) | (regions == other) & (there == one), value, mean
                    )
                bond = exists * 2 * mean / edge**2 * (m2 - m)
                if axis:
                    strength = exists * self.pair(regions, there, d, d_near) / edge
                    lateral = 2 - axis
                    bond[lateral] += side * strength * m2[2]
                    bond[2] -= side * strength * m2[lateral]
                along = np.eye(3)[2 - axis].reshape(3, 1, 1, 1) + 0 * m
                if axis or self.counts[0] > 1:
                    bond -= side * exists * bulk / edge * np.cross(along, m2, axis=0)
                field += bond / ms
        return field

    def pair(self, one, other, d1, d2):
        np = self.np
        mean = np.where(d1 * d2 > 0, 2 * d1 * d2 / np.where(d1 + d2 == 0, 1, d1 + d2), 0.0)
        for (a, b), value in self.inter.items():
            mean = np.where(((one == a) & (other == b)) | ((one == b) & (other == a)), value, mean)
        return mean

    def ext_interdind(self, a, b, value):
        self.inter[a, b] = value

    def ext_interexchange(self, a, b, value):
        self.inter_exchange[a, b] = value

    def anisotropy_field(self, m, k1, k2):
        axis = self.cells("anisu")
        along = (m * axis).sum(0)
        return (2 * k1 * along + 4 * k2 * along**3) / self.cells("msat") * axis

    def cubic_field(self, m, k1, k2):
        """As cuda/cubicanisotropy2.cu: its third axis is the cross product of the two that are given."""
        np = self.np
        first, second = self.cells("anisc1"), self.cells("anisc2")
        if not first.any():
            return 0 * m
        axes = [axis / np.sqrt((axis**2).sum(0)) for axis in (first, second)]
        axes.append(np.cross(*axes, axis=0))
        a, b, c = ((m * axis).sum(0) for axis in axes)
        along = [
            -2 * k1 * (b**2 + c**2) * a - 2 * k2 * b**2 * c**2 * a,
            -2 * k1 * (a**2 + c**2) * b - 2 * k2 * a**2 * c**2 * b,
            -2 * k1 * (a**2 + b**2) * c - 2 * k2 * a**2 * b**2 * c,
        ]
        return sum(part * axis for part, axis in zip(along, axes)) / self.cells("msat")

    def thermal_field(self):
        np = self.np
        if self.random is None:
            self.random = np.random.default_rng(self.seed)
        if self.drawn is None or self.drawn[0] != self.taken:
            volume = math.prod(self.cell)
            variance = 2 * 1.38064852e-23 * self.cells("temp") * self.cells("alpha")
            variance = variance / (self.variables["gammall"] * volume * self.variables["fixdt"] * self.cells("msat"))
            self.drawn = self.taken, np.sqrt(variance) * self.random.standard_normal(self.m.shape)
        return self.drawn[1]

    def torque(self, m):
        np = self.np
        field = self.exchange_field(m) + self.cells("b_ext") + self.added
        field = field + self.anisotropy_field(m, self.cells("ku1"), self.cells("ku2"))
        field = field + self.cubic_field(m, self.cells("kc1"), self.cells("kc2"))
        if self.parameters["temp"].now(self.time).any() and not self.relaxing:
            field = field + self.thermal_field()
        names = ("ku1", "b_ext", "j")
        self.evaluations.append((self.time, *(self.parameters[n].now(self.time)[:2].copy() for n in names)))
        precession = np.cross(m, field, axis=0)
        if self.relaxing:
            return -np.cross(m, precession, axis=0)
        alpha, current = self.cells("alpha"), self.cells("j")
        torque = -(precession + alpha * np.cross(m, precession, axis=0)) / (1 + alpha**2)
        if not current.any():
            return torque
        if not self.variables["disablezhanglitorque"]:
            torque = torque + self.zhang_li(m, alpha, current)
        if not self.variables["disableslonczewskitorque"] and self.parameters["fixedlayer"].now(self.time).any():
            torque = torque + self.slonczewski(m, alpha, current[2])
        return torque * self.mask

    def slonczewski(self, m, alpha, current):
        np, p = self.np, self.cells("fixedlayer")
        p = p / np.sqrt((p * p).sum(0))
        thickness, square = self.cells("freelayerthickness"), self.cells("lambda") ** 2
        thickness = np.where(thickness == 0, self.counts[0] * self.cell[2], thickness)
        thickness = thickness * {1: 1.0, 2: -1.0}[self.variables["fixedlayerposition"]]
        beta = 1.05457173e-34 / 1.60217646e-19 * current / (thickness * self.cells("msat"))
        epsilon = self.cells("pol") * square / ((square + 1) + (square - 1) * (p * m).sum(0))
        a, b = beta * epsilon, beta * self.cells("epsilonprime")
        pxm = np.cross(p, m, axis=0)
        return ((a + alpha * b) * np.cross(m, pxm, axis=0) + (b - alpha * a) * pxm) / (1 + alpha**2)

    def zhang_li(self, m, alpha, current):
        np, xi = self.np, self.cells("xi")
        b = 9.2740091523e-24 / (2 * 1.60217646e-19 * 1.7595e11) / (self.cells("msat") * (1 + xi**2)) * self.cells("pol")
        drift = np.zeros_like(m)
        for component, (axis, edge) in enumerate(zip((3, 2, 1), self.cell)):
            count = m.shape[axis]
            mode = "wrap" if self.periodic[axis - 1] else "clip"  # at the box's ends
            after = np.take(m, np.arange(count) + 1, axis, mode=mode)
            before = np.take(m, np.arange(count) - 1, axis, mode=mode)
            drift += b / edge * current[component] * (after - before)
        once = np.cross(m, drift, axis=0)
        return -((1 + xi * alpha) * np.cross(m, once, axis=0) + (xi - alpha) * once) / (1 + alpha**2)

    # -- time ------------------------------------------------------------------------------------------------------
    def setsolver(self, kind):
        self.solver = kind

    def thermreseed(self, seed):  # 3.12
        self.thermseed(seed)

    def thermseed(self, seed):
        assert isinstance(seed, int) and seed < 2**63
        self.seed, self.random = seed, None

    def step(self, dt, solver):
        h, m0, t0 = dt * self.variables["gammall"], self.m, self.time
        k1 = self.torque(m0)
        if solver == 2:
            self.time = t0 + dt
            k2 = self.torque(m0 + h * k1)
            self.m = self.normal(m0 + h / 2 * (k1 + k2))
        else:
            self.time = t0 + dt / 2
            k2 = self.torque(self.normal(m0 + h / 2 * k1))
            k3 = self.torque(self.normal(m0 + h / 2 * k2))
            self.time = t0 + dt
            k4 = self.torque(self.normal(m0 + h * k3))
            self.m = self.normal(m0 + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        self.taken += 1

    def steps(self, count):
        assert self.variables["fixdt"] and self.solver in (2, 4)
        if os.environ.get("FAKE_MUMAX3") == "short" and self.rows == 2:
            sys.exit(0)
        for _ in range(count):
            self.step(self.variables["fixdt"], self.solver)

    def run(self, duration):
        fixed = self.variables["fixdt"]
        assert fixed or self.solver == 5
        # without a fixed step as good as adaptive steps at these tolerances
        count = round(duration / fixed) if fixed else math.ceil(duration / 1e-13)
        for _ in range(count):
            self.autosaves()
            self.step(fixed or duration / count, self.solver if fixed else 4)
        self.autosaves()

    def tableautosave(self, period):
        self.saves["table"] = [self.tablesave, period, self.time, 0]

    def autosave(self, what, period):
        self.saves[what] = [lambda: self.save(what), period, self.time, 0]

    def autosaves(self):
        for one in self.saves.values():
            output, period, start, count = one
            if self.time - start >= count * period:
                output()
                one[3] += 1

    def relax(self):
        self.relaxing, t0 = True, self.time
        torque = self.torque(self.m)
        while abs(torque).max() > self.variables["relaxtorquethreshold"]:
            self.m = self.normal(self.m + 0.02 * torque)
            self.time += 1e-15
            torque = self.torque(self.m)
        self.relaxing, self.time = False, t0

    # -- output ------------------------------------------------------------------------------------------------------
    def tableadd(self, name):
        self.columns.append(QUANTITIES[name])

    def energy(self, name):
        full = self.cells("msat") * self.m
        zero = self.np.zeros(self.counts)
        if name == "E_exch":
            terms = [(-1 / 2, self.exchange_field(self.m))]
        elif name == "E_anis":
            terms = [(-1 / 2, self.anisotropy_field(self.m, self.cells("ku1"), zero))]
            terms += [(-1 / 4, self.anisotropy_field(self.m, zero, self.cells("ku2")))]
            terms += [(-1 / 4, self.cubic_field(self.m, self.cells("kc1"), zero))]
            terms += [(-1 / 6, self.cubic_field(self.m, zero, self.cells("kc2")))]
        else:
            terms = [(-1, self.cells("b_ext") + self.added)] if name == "E_Zeeman" else []
        return math.prod(self.cell) * sum(factor * (full * field).sum() for factor, field in terms)

    def tablesave(self):
        names = ["mx ()", "my ()", "mz ()", *(f"{name} (J)" for name in self.columns)]
        values = [*(self.m.sum((1, 2, 3)) / self.mask.sum()), *(self.energy(name) for name in self.columns)]
        if any(math.isnan(value) for value in values):
            last_words("panic: NaN" + STACK + "/engine/util.go:231 +0x1d", 2)
        with open(self.folder / "out" / "table.txt", "a") as stream:
            if not self.rows:
                stream.write("\t".join(["# t (s)", *names]) + "\n")
            single = [str(self.np.float32(value)) for value in values]
            stream.write("\t".join([go(self.time), *single]) + "\n")
        self.rows += 1

    def save(self, what):
        nz, ny, nx = self.counts
        size = [n * edge for n, edge in zip((nx, ny, nz), self.cell)]
        lines = ["# OOMMF OVF 2.0", "# Segment count: 1", "# Begin: Segment", "# Begin: Header", "# Title: m"]
        lines += ["# meshtype: rectangular", "# meshunit: m", "# xmin: 0", "# ymin: 0", "# zmin: 0"]
        lines += [f"# {axis}max: {go(edge)}" for axis, edge in zip("xyz", size)]
        lines += ["# valuedim: 3", "# valuelabels: m_x m_y m_z", "# valueunits: 1 1 1"]
        lines += [f"# Desc: Total simulation time:  {go(self.time)}  s"]
        lines += [f"# {axis}base: {go(edge / 2)}" for axis, edge in zip("xyz", self.cell)]
        lines += [f"# {axis}nodes: {count}" for axis, count in zip("xyz", (nx, ny, nz))]
        lines += [f"# {axis}stepsize: {go(edge)}" for axis, edge in zip("xyz", self.cell)]
        lines += ["# End: Header", "# Begin: Data Binary 4"]
        numbers = self.np.concatenate([[1234567.0], self.np.moveaxis(self.m, 0, -1).ravel()]).astype("<f4").tobytes()
        content = "\n".join(lines).encode() + b"\n" + numbers + b"# End: Data Binary 4\n# End: Segment\n"
        if os.environ.get("FAKE_MUMAX3") == "cut" and self.saved == 1:
            content = content[:-60]
        (self.folder / "out" / f"m{self.saved:06d}.ovf").write_bytes(content)
        self.saved += 1
