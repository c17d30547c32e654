"""Stage 3. In: the kernel card, the network section. Out: history, summary, writes, energy, evaluations, confusion,
figures; systems if the study stands for a published system.

Each variant and each seed trains in a job of its own, which sees only that variant's section.
"""

NETWORK = STUDY / "network"
SUMMARY = NETWORK / "summary"
REPLICATES = range(config["network"]["seeds"])
RUN_FILES = ["history.csv", "confusion.csv", "evaluations.csv", "meter.json"]
TABLES = ["history.csv", "summary.csv", "writes.csv", "energy.csv", "evaluations.csv", "confusion.csv"]


rule data:
    input:
        sources("network/datasets"),
        section=SECTIONS["data"],
    output:
        NETWORK / "data.json",
    log:
        LOGS / "network/data.log",
    conda:
        "../../environment.yml"
    shell:
        "python -m network data --config {input.section:q} --output {output:q} --log {log:q}"


rule train:
    input:
        [path for path in sources("network") if not path.endswith(("figures.py", "systems.py"))],
        COMMON,
        "calibration/card.py",
        "calibration/tables.py",
        data=NETWORK / "data.json",
        card=rules.card.output,
        section=STUDY / "config/training_{variant}.json",
    output:
        expand(str(NETWORK / "runs/{{variant}}_{{replicate}}/{file}"), file=RUN_FILES),
    log:
        LOGS / "network/{variant}_{replicate}.log",
    wildcard_constraints:
        variant="[a-z0-9_]+",
        replicate="[0-9]+",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1800,
    params:
        card=CARD,
        output=str(NETWORK / "runs/{variant}_{replicate}"),
    shell:
        "python -m network train --config {input.section:q} --card {params.card:q}"
        " --replicate {wildcards.replicate:q} --output {params.output:q} --log {log:q}"


rule summarise:
    input:
        card=rules.card.output,
        section=SECTIONS["network"],
        runs=expand(
            str(NETWORK / "runs/{variant}_{replicate}/{file}"),
            variant=PLAN.variants,
            replicate=REPLICATES,
            file=RUN_FILES,
        ),
    output:
        [SUMMARY / name for name in TABLES],
    log:
        LOGS / "network/summarise.log",
    conda:
        "../../environment.yml"
    params:
        card=CARD,
        runs=expand(str(NETWORK / "runs/{variant}_{replicate}"), variant=PLAN.variants, replicate=REPLICATES),
        output=SUMMARY,
    shell:
        "python -m network summarise --runs {params.runs:q} --config {input.section:q}"
        " --card {params.card:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule systems:
    input:
        "network/systems.py",
        rules.card.output,
        rules.summarise.output,
        SECTIONS["resolved"],
    output:
        SUMMARY / "systems.csv",
    log:
        LOGS / "network/systems.log",
    conda:
        "../../environment.yml"
    params:
        study=STUDY,
    shell:
        "python -m network systems --studies {params.study:q} --output {output:q} 2>&1 | tee {log:q}"


rule network_figures:
    input:
        "network/figures.py",
        "network/__main__.py",
        tables=rules.summarise.output,
    output:
        report(
            STUDY / "figures/accuracy.png",
            caption=str(CAPTIONS / "accuracy.rst"),
            category="3 Network",
            labels={"figure": "1 accuracy against epoch"},
        ),
        report(
            STUDY / "figures/writes.png",
            caption=str(CAPTIONS / "writes.rst"),
            category="3 Network",
            labels={"figure": "2 writes per sample"},
        ),
        report(
            STUDY / "figures/energy.png",
            caption=str(CAPTIONS / "energy.rst"),
            category="3 Network",
            labels={"figure": "3 energy"},
        ),
        report(
            STUDY / "figures/confusion.png",
            caption=str(CAPTIONS / "confusion.rst"),
            category="3 Network",
            labels={"figure": "4 confusion matrix"},
        ),
    log:
        LOGS / "network/figures.log",
    conda:
        "../../environment.yml"
    params:
        tables=SUMMARY,
        output=STUDY / "figures",
    shell:
        "python -m network figures --summary {params.tables:q} --output {params.output:q}" " 2>&1 | tee {log:q}"


rule network:
    input:
        rules.summarise.output,
        rules.systems.output if config["system"] else [],
        rules.network_figures.output,
