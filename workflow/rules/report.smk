"""The report. In: every figure. Out: report.html, made by Snakemake from the figures and their captions.

And the data package. In: every table. Out: datapackage.json, with their types and units.
"""

# the rules whose figures this study has
DRAWN = ["device_figure"] * PLAN.simulates + ["card_figures"] + ["network_figures"] * PLAN.trains


rule report:
    input:
        STUDY / "report.html",
        STUDY / "datapackage.json",


rule report_html:
    input:
        [getattr(rules, rule).output for rule in DRAWN],
        captions=code("captions", Path("workflow/report").glob("*.rst")),
    output:
        STUDY / "report.html",
    log:
        LOGS / "report.log",
    conda:
        "../../environment.yml"
    params:
        config=SECTIONS["resolved"],
        drawn=DRAWN,
    shell:
        # the running workflow holds the lock, and its targets other than this one are complete
        "snakemake {params.drawn} --report {output:q} --nolock"
        " --configfile {params.config:q} > {log:q} 2>&1 || (cat {log:q} >&2; exit 1)"


rule data_package:
    input:
        rules.device_sims.input if PLAN.simulates else [],
        rules.calibration.input,
        rules.network.input if PLAN.trains else [],
        code("package", [*COMMON, "spinloom/package.py", "results/README.md"]),
    output:
        STUDY / "datapackage.json",
    log:
        LOGS / "package.log",
    conda:
        "../../environment.yml"
    params:
        study=STUDY,
    shell:
        "python -m spinloom.package --study {params.study:q} --output {output:q} > {log:q} 2>&1"
        " || (cat {log:q} >&2; exit 1)"
