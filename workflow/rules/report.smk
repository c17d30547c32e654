"""The report. In: every figure. Out: report.html, made by Snakemake from the figures and their captions."""

# the rules whose figures this study has
DRAWN = ["device_figure"] * PLAN.simulates + ["card_figures"] + ["network_figures"] * PLAN.trains


rule report:
    input:
        STUDY / "report.html",


rule report_html:
    input:
        [getattr(rules, rule).output for rule in DRAWN],
        captions=sorted(str(path) for path in CAPTIONS.glob("*.rst")),
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
