"""One pulse on each conductance of a lookup table, by CrossSim 2.0 itself; `benchmarks/interchange_crosssim.py` asks.

    PYTHON benchmarks/interchange_crosssim_peer.py CROSSSIM dG_increasing.txt dG_decreasing.txt answer.npz DEVICES SEED

CROSSSIM is a checkout of the tag v2.0. The tables are read by its own reader, and a device moves by its own update.
"""

import sys

import numpy as np

program, up, down, answer, devices, seed = sys.argv[1:]
sys.path.insert(0, f"{program}/cross_sim")
from cross_sim import Parameters  # noqa: E402  # pyright: ignore[reportMissingImports]

np.random.seed(int(seed))
parameters = Parameters()
numbers = parameters.numeric_params
numbers.update_model = "DG_LOOKUP"
table = numbers.dG_lookup
table.file_increasing, table.file_decreasing = up, down
table.Gmin_relative, table.Gmax_relative = 0.0, 1.0
table.manual_post_set()
weight = np.repeat(table.w_vec[:, None], int(devices), axis=1)
# a wanted change of the table's mean step is one pulse: neither step nor its spread is scaled
wanted = (table.ave_dw_inc, table.ave_dw_dec)
after = [weight + table.compute_update(np.full(weight.shape, dw), weight) for dw in wanted]
np.savez(answer, after_S=np.array(after) * table.Gmax_clip, conductance_S=table.w_vec * table.Gmax_clip)
