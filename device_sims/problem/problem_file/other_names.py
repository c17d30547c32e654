"""What other programs call a key of a problem file: for the hint in an error, and for docs/from_mumax3.md."""

from __future__ import annotations

# by program, its name -> our key, from the top of the file
MUMAX3 = {
    "Msat": "material.Ms_A_per_m",
    "Aex": "material.A_J_per_m",
    "Ku1": "material.Ku_J_per_m3",
    "Ku2": "material.Ku2_J_per_m3",
    "anisU": "material.axis",
    "Kc1": "material.Kc1_J_per_m3",
    "Kc2": "material.Kc2_J_per_m3",
    "anisC1": "material.cubic_axes",
    "anisC2": "material.cubic_axes",
    "Dind": "material.D_J_per_m2",
    "Dbulk": "material.Dbulk_J_per_m2",
    "Pol": "material.spin_hall_angle",
    "FixedLayer": "material.polarisation",
    "Lambda": "material.slonczewski_lambda",
    "EpsilonPrime": "material.field_like_ratio",
    "xi": "material.zhang_li_beta",
    "Temp": "temperature_K",
    "ThermSeed": "seed",
    "ThermReseed": "seed",
    "B_ext": "schedule.field_T",
    "J": "schedule.current_density_A_per_m2",
    "SetGridSize": "mesh.cells",
    "SetCellSize": "mesh.cell_m",
    "SetPBC": "mesh.periodic",
    "SetGeom": "geometry",
    "EdgeSmooth": "geometry.edge_smoothing",
    "ext_makegrains": "grains.size_m",
    "ext_ScaleExchange": "couplings.factor",
    "ext_InterExchange": "couplings.A_J_per_m",
    "DefRegion": "regions",
    "ext_rmSurfaceCharge": "geometry.beyond_mx",
    "ext_centerWall": "window.component",
    "RunWhile": "schedule.until",
    "m": "initial",
    "Run": "schedule.duration_s",
    "FixDt": "numerics.dt_s",
    "MaxErr": "numerics.tolerance",
    "EnableDemag": "numerics.demag",
    "TableAutosave": "outputs.record_interval_s",
    "AutoSave": "outputs.ovf_interval_s",
}
UBERMAG = {
    "Ms": "material.Ms_A_per_m",
    "A": "material.A_J_per_m",
    "K": "material.Ku_J_per_m3",
    "K1": "material.Ku_J_per_m3",
    "K2": "material.Ku2_J_per_m3",
    "D": "material.D_J_per_m2",
    "H": "schedule.field_T",
    "sigma": "couplings.J_J_per_m2",
    "u1": "material.cubic_axes",
    "u2": "material.cubic_axes",
    "bc": "mesh.periodic",
    "beta": "material.zhang_li_beta",
    "T": "temperature_K",
    "n": "mesh.cells",
    "cell": "mesh.cell_m",
    "P": "material.spin_hall_angle",
}
OOMMF = {"cellsize": "mesh.cell_m", "stopping_time": "schedule.duration_s"}


def hints() -> dict[str, str]:
    """Return what to say of another program's name, by that name in lower case."""
    told = {}
    for program, names in (("OOMMF", OOMMF), ("ubermag", UBERMAG), ("mumax3", MUMAX3)):
        told.update({name.lower(): f"{program}'s {name} is {key} here" for name, key in names.items()})
    return told
