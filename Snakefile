"""Spinloom: micromagnetics -> transition table -> trained network -> report.

Targets: all (default), device_sims, calibration, network, report, validation. Another study: --configfile
configs/NAME.yaml. A study may begin with the card (calibration.source) or end with it (network: null).
"""

import sys

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"


if PLAN.simulates:

    include: "workflow/rules/device_sims.smk"


include: "workflow/rules/calibration.smk"


if PLAN.trains:

    include: "workflow/rules/network.smk"


include: "workflow/rules/report.smk"
include: "workflow/rules/validation.smk"


rule all:
    default_target: True
    input:
        rules.device_sims.input if PLAN.simulates else [],
        rules.calibration.input,
        rules.network.input if PLAN.trains else [],
        rules.report.input,
