"""Spinloom: micromagnetics -> transition table -> trained network -> report.

Targets: all (default), device_sims, calibration, network, report, validation. Another study: --configfile
configs/NAME.yaml. A study may begin with the card (calibration.source) or end with it (network: null), or be a scan of
many (scan).
"""

import sys

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/device_sims.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/network.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/validation.smk"


rule all:
    default_target: True
    input:
        # of a scan the points' own pages and figures only when they are asked for, by another target
        [*rules.scan.output, *SCAN_PAGES]
        if study.is_scan
        else [rules.device_sims.input, rules.calibration.input, rules.network.input, rules.report.input],
