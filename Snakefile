"""Spinloom: micromagnetics -> transition table -> trained network -> report.

Targets: all (default), device_sims, calibration, network, report, validation. Another study: --configfile
configs/NAME.yaml. For a device family whose cards the calibration does not make yet, all is device_sims.
"""

import sys

from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/device_sims.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/network.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/validation.smk"


rule all:
    default_target: True
    input:
        rules.device_sims.input,
        [rules.calibration.input, rules.network.input, rules.report.input] if HAS_CARD else [],
