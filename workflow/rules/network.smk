"""Stage 3. In: the kernel card, the network section. Out: history, summary, writes, energy, evaluations, confusion,
figures; systems if the study stands for a published system.

Each variant and each seed trains in a job of its own, which sees only that variant's section.
"""

NETWORK = STUDY / "network"
SUMMARY = NETWORK / "summary"
REPLICATES = range(config["network"]["seeds"])
RUN_FILES = ["history.csv", "confusion.csv", "evaluations.csv", "meter.json", SUMS]
TABLES = ["history.csv", "summary.csv", "writes.csv", "energy.csv", "evaluations.csv", "confusion.csv", SUMS]

# no training depends on these
SHOWN = ("figures.py", "scan.py", "show.py", "systems.py", "uncertainty.py")
TRAINERS = [
    *(path for path in sources("network") if Path(path).name not in SHOWN),
    *COMMON,
    "calibration/card.py",
    "calibration/tables.py",
]


rule data:
    input:
        code("data", sources("network/datasets")),
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
        code("train", TRAINERS),
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
        chip="",
        output=str(NETWORK / "runs/{variant}_{replicate}"),
    shell:
        "python -m network train --config {input.section:q} --card {params.card:q}"
        " --replicate {wildcards.replicate:q} {params.chip} --output {params.output:q} --log {log:q}"


# the same on draws from the posterior of the card, on which several chips and seeds are nested
use rule train as train_sampled with:
    input:
        code("train", TRAINERS),
        data=NETWORK / "data.json",
        card=rules.card_sample.output,
        section=STUDY / "config/training_{variant}.json",
    output:
        expand(str(NETWORK / "sampled/{{variant}}_{{sample}}_{{chip}}_{{replicate}}/{file}"), file=RUN_FILES),
    log:
        LOGS / "network/sampled_{variant}_{sample}_{chip}_{replicate}.log",
    wildcard_constraints:
        variant="[a-z0-9_]+",
        sample="[0-9]+",
        chip="[0-9]+",
        replicate="[0-9]+",
    params:
        card=str(STUDY / "calibration/samples/{sample}"),
        chip="--card-sample {sample} --chip {chip}",
        output=str(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}"),


rule uncertainty:
    input:
        code("uncertainty", ["network/uncertainty.py", "network/figures.py"]),
        cards=expand(rules.card_sample.output, sample=range(config["network"]["card_samples"])),
        section=SECTIONS["network"],
        runs=expand(
            str(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}/{file}"),
            variant=PLAN.variants_with_card,
            sample=range(config["network"]["card_samples"]),
            chip=range(config["network"]["chips"]),
            replicate=range(config["network"]["seeds_per_chip"]),
            file=RUN_FILES,
        ),
    output:
        table=SUMMARY / "uncertainty.csv",
        figure=STUDY / "figures/uncertainty.png",
    log:
        LOGS / "network/uncertainty.log",
    conda:
        "../../environment.yml"
    params:
        cards=STUDY / "calibration/samples",
        runs=NETWORK / "sampled",
    shell:
        "python -m network uncertainty --config {input.section:q} --sampled {params.runs:q}"
        " --cards {params.cards:q} --output {output.table:q} --figure {output.figure:q} 2>&1 | tee {log:q}"


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
        code("systems", ["network/systems.py"]),
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
        code("network_figures", ["network/figures.py", "network/__main__.py"]),
        tables=rules.summarise.output,
    output:
        STUDY / "figures/accuracy.png",
        STUDY / "figures/writes.png",
        STUDY / "figures/energy.png",
        STUDY / "figures/confusion.png",
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
        rules.uncertainty.output if config["network"]["card_samples"] else [],
        rules.network_figures.output,
