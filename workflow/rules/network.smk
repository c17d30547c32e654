"""Stage 3. In: the kernel card, the network section. Out: history, summary, writes, energy, confusion, figures.

Each rule and each seed trains in a job of its own.
"""

NETWORK = STUDY / "network"
SUMMARY = NETWORK / "summary"
TRAINED = list(dict.fromkeys(filter(None, [config["network"]["rule"], config["network"]["baseline"]])))
REPLICATES = range(config["network"]["seeds"])
RUN_FILES = ["history.csv", "confusion.csv", "meter.json"]


rule data:
    input:
        sources("network/datasets"),
        section=SECTIONS["training"],
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
        [path for path in sources("network") if not path.endswith("figures.py")],
        COMMON,
        "calibration/card.py",
        "calibration/tables.py",
        data=NETWORK / "data.json",
        card=rules.card.output,
        section=SECTIONS["training"],
    output:
        expand(str(NETWORK / "runs/{{rule}}_{{replicate}}/{file}"), file=RUN_FILES),
    log:
        LOGS / "network/{rule}_{replicate}.log",
    wildcard_constraints:
        rule="[a-z_]+",
        replicate="[0-9]+",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1800,
    params:
        card=CARD,
        output=str(NETWORK / "runs/{rule}_{replicate}"),
    shell:
        "python -m network train --config {input.section:q} --card {params.card:q}"
        " --rule {wildcards.rule:q} --replicate {wildcards.replicate:q}"
        " --output {params.output:q} --log {log:q}"


rule summarise:
    input:
        card=rules.card.output,
        section=SECTIONS["network"],
        runs=expand(
            str(NETWORK / "runs/{rule}_{replicate}/{file}"),
            rule=TRAINED,
            replicate=REPLICATES,
            file=RUN_FILES,
        ),
    output:
        SUMMARY / "history.csv",
        SUMMARY / "summary.csv",
        SUMMARY / "writes.csv",
        SUMMARY / "energy.csv",
        SUMMARY / "confusion.csv",
    log:
        LOGS / "network/summarise.log",
    conda:
        "../../environment.yml"
    params:
        card=CARD,
        runs=expand(str(NETWORK / "runs/{rule}_{replicate}"), rule=TRAINED, replicate=REPLICATES),
        output=SUMMARY,
    shell:
        "python -m network summarise --runs {params.runs:q} --config {input.section:q}"
        " --card {params.card:q} --output {params.output:q} 2>&1 | tee {log:q}"


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
        rules.network_figures.output,
