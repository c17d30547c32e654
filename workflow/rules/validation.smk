"""The evidence for the engines (docs/validation.md). Of no study and not part of `all`: run `snakemake validation`."""

from workflow.study.tasks import evidence


rule validation:
    input:
        VALIDATION / "validation.csv",


rule validate:
    input:
        evidence(PLACE),
    output:
        VALIDATION / "validation.csv",
        VALIDATION / "validation.md",
    log:
        VALIDATION / "validation.log",
    conda:
        "../environment.yml"
    threads: 2
    resources:
        mem_mb=2500,
    params:
        output=VALIDATION,
    shell:
        "python -m device_sims validate --output {params.output:q} --jobs {threads} > {log:q} 2>&1"
        " || (cat {log:q} >&2; exit 1)"
