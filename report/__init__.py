"""What a person opens after a study: one page that tells its story, offline, from the study's files alone.

It comes after all stages, imports of them only the kernel card and its words for pulses, and computes nothing that a
table of the study does not hold: sections are built by `report.device`, `report.table`, `report.network`,
`report.costs` and `report.evidence`, and put together by `report.page`. `report.scan` and `report.scan_figures` build
those of a scan, from its table and its points' configs.
"""
