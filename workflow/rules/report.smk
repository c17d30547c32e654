"""The report. In: every figure. Out: report.html, made by Snakemake from the figures and their captions."""


rule report:
    input:
        STUDY / "report.html",


rule report_html:
    input:
        rules.device_figure.output,
        rules.card_figures.output,
        rules.network_figures.output,
        captions=sorted(str(path) for path in CAPTIONS.glob("*.rst")),
    output:
        STUDY / "report.html",
    log:
        LOGS / "report.log",
    conda:
        "../../environment.yml"
    params:
        config=SECTIONS["resolved"],
    shell:
        # the running workflow holds the lock, and its targets other than this one are complete
        "snakemake device_figure card_figures network_figures --report {output:q} --nolock"
        " --configfile {params.config:q} > {log:q} 2>&1 || (cat {log:q} >&2; exit 1)"
