"""Tests run as the command lines do: one XLA thread, so that results do not depend on the machine's cores."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
