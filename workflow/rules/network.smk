"""Stage 3. In: the kernel card, the network section. Out: history, summary, writes, energy, evaluations, lifetime,
confusion, figures; systems if the study stands for a published system.

Each variant and each seed trains in a job of its own, which sees only that variant's section.
"""

NETWORK = STUDY / "network"
SUMMARY = NETWORK / "summary"
RUN_FILES = ["history.csv", "confusion.csv", "evaluations.csv", "meter.json", SUMS]
TABLES = ["history.csv", "summary.csv", "writes.csv", "energy.csv", "evaluations.csv", "lifetime.csv", "confusion.csv"]
TABLES += [SUMS]

# no training depends on these
SHOWN = ("figures.py", "scan_table.py", "show.py", "systems.py", "uncertainty.py")
TRAINERS = [
    *(path for path in sources("network") if Path(path).name not in SHOWN),
    *COMMON,
    *sources("calibration/card"),
]


# the names of the points with their labels, and what they share
SCAN_POINTS = (
    or_exit(FOLDER.keep, "scan", json.dumps({p.name: p.labels for p in POINTS}, indent=1) + "\n") if POINTS else []
)
SCAN_CONFIG = or_exit(FOLDER.keep, "resolved", study_config.section_texts(config)["resolved"]) if POINTS else []


# compute nodes often have no network
localrules:
    data,


rule data:
    input:
        code("data", sources("network/datasets")),
        section=SECTION["data"],
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
        expand(str(NETWORK / "runs/{variant}_{replicate}/{file}"), file=RUN_FILES, allow_missing=True),
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
        card=at(CARD),
        chip="",
        output=at(NETWORK / "runs/{variant}_{replicate}"),
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
        expand(
            str(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}/{file}"), file=RUN_FILES, allow_missing=True
        ),
    log:
        LOGS / "network/sampled_{variant}_{sample}_{chip}_{replicate}.log",
    wildcard_constraints:
        variant="[a-z0-9_]+",
        sample="[0-9]+",
        chip="[0-9]+",
        replicate="[0-9]+",
    params:
        card=at(STUDY / "calibration/samples/{sample}"),
        chip="--card-sample {sample} --chip {chip}",
        output=at(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}"),


rule uncertainty:
    input:
        code("uncertainty", ["network/results/uncertainty.py", "network/results/figures.py"]),
        cards=sampled_cards,
        section=SECTION["network"],
        runs=sampled,
    output:
        table=SUMMARY / "uncertainty.csv",
        seal=SUMMARY / f"uncertainty.csv{SEAL}",
        figure=STUDY / "figures/uncertainty.png",
    log:
        LOGS / "network/uncertainty.log",
    conda:
        "../../environment.yml"
    params:
        cards=at(STUDY / "calibration/samples"),
        runs=at(NETWORK / "sampled"),
    shell:
        "python -m network uncertainty --config {input.section:q} --sampled {params.runs:q}"
        " --cards {params.cards:q} --output {output.table:q} --figure {output.figure:q} 2>&1 | tee {log:q}"


rule summarise:
    input:
        card=rules.card.output,
        section=SECTION["network"],
        runs=lambda w: run_files(w.study),
    output:
        [SUMMARY / name for name in TABLES],
    log:
        LOGS / "network/summarise.log",
    conda:
        "../../environment.yml"
    params:
        card=at(CARD),
        runs=lambda w: runs(w.study),
        output=at(SUMMARY),
    shell:
        "python -m network summarise --runs {params.runs:q} --config {input.section:q}"
        " --card {params.card:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule systems:
    input:
        code("systems", ["network/results/systems.py"]),
        rules.card.output,
        rules.summarise.output,
        SECTION["resolved"],
    output:
        table=SUMMARY / "systems.csv",
        seal=SUMMARY / f"systems.csv{SEAL}",
    log:
        LOGS / "network/systems.log",
    conda:
        "../../environment.yml"
    params:
        study=at(STUDY),
    shell:
        "python -m network systems --studies {params.study:q} --output {output.table:q} 2>&1 | tee {log:q}"


rule network_figures:
    input:
        code("network_figures", ["network/results/figures.py", "network/__main__.py"]),
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
        tables=at(SUMMARY),
        output=at(STUDY / "figures"),
    shell:
        "python -m network figures --summary {params.tables:q} --output {params.output:q}" " 2>&1 | tee {log:q}"


rule scan:
    input:
        code("scan", ["network/results/scan_table.py", "network/results/figures.py"]),
        every([*rules.card.output, *rules.summarise.output], lambda plan: plan.trains),
        points=SCAN_POINTS,
    output:
        table=ROOT / "scan.csv",
        seal=ROOT / f"scan.csv{SEAL}",
        figures=[ROOT / "figures/scan.png", ROOT / "figures/pareto.png"],
    log:
        ROOT / "logs/scan.log",
    conda:
        "../../environment.yml"
    params:
        studies=ROOT / "points",
        figures=ROOT / "figures",
    shell:
        "python -m network scan --config {input.points:q} --studies {params.studies:q}"
        " --output {output.table:q} --figures {params.figures:q} 2>&1 | tee {log:q}"


rule network:
    input:
        [path for name, plan in PLANS.items() if plan.trains for path in run_files(name)],
        every(rules.summarise.output, lambda plan: plan.trains),
        every([*rules.systems.output], lambda plan: plan.trains and plan.config["system"]),
        every([*rules.uncertainty.output], lambda plan: plan.trains and plan.network["card_samples"]),
        every(rules.network_figures.output, lambda plan: plan.trains),
        rules.scan.output if POINTS else [],
