"""Stage 3. In: the kernel card, the network section. Out: history, summary, writes, energy, evaluations, programming,
lifetime, confusion; systems if the study stands for a published system.

Each variant and each seed trains in a job of its own, which sees only that variant's section.
"""

SUMMARY = NETWORK / "summary"
TABLES = ["history.csv", "summary.csv", "writes.csv", "energy.csv", "evaluations.csv", "programming.csv"]
TABLES += ["lifetime.csv", "confusion.csv", "costs.csv", "areas.csv", "rivals.csv", "sensitivity.csv", "layers.csv"]
TABLES += [SUMS]


# compute nodes often have no network
localrules:
    data,


rule data:
    input:
        study.code("data"),
        section=SECTION["data"],
    output:
        NETWORK / "data.json",
    log:
        LOGS / "network/data.log",
    conda:
        "../environment.yml"
    resources:
        cache=study.of(lambda facts: facts.cache),  # a param would be part of the job's identity
    shell:
        "python -m network data --config {input.section:q} --cache {resources.cache:q} --output {output:q} --log {log:q}"


# short trainings, judged by validation images; only of variants that are to be tuned
rule tune:
    input:
        study.code("tune_{variant}"),
        data=NETWORK / "data.json",
        card=study.card(CARD),
        section=STUDY / "config/training_{variant}.json",
    output:
        section=NETWORK / "tuned/{variant}.json",
        table=NETWORK / "tuned/{variant}.csv",
    log:
        LOGS / "network/tune_{variant}.log",
    wildcard_constraints:
        variant="[a-z0-9_]+",
    conda:
        "../environment.yml"
    resources:
        mem_mb=1800,
        cache=study.of(lambda facts: facts.cache),
    params:
        card=study.card_option(CARD),
    shell:
        "python -m network tune --config {input.section:q} --data {input.data:q} --cache {resources.cache:q}"
        " {params.card} --output {output.section:q} --table {output.table:q} --log {log:q}"


rule train:
    input:
        study.code("train_{variant}"),
        data=NETWORK / "data.json",
        card=study.card(CARD),
        section=study.training_section,
    output:
        expand(str(NETWORK / "runs/{variant}_{replicate}/{file}"), file=RUN_FILES, allow_missing=True),
    log:
        LOGS / "network/{variant}_{replicate}.log",
    wildcard_constraints:
        variant="[a-z0-9_]+",
        replicate="[0-9]+",
    conda:
        "../environment.yml"
    resources:
        mem_mb=1800,
        cache=study.of(lambda facts: facts.cache),
    params:
        card=study.card_option(CARD),
        chip="",
        output=at(NETWORK / "runs/{variant}_{replicate}"),
    shell:
        "python -m network train --config {input.section:q} --data {input.data:q} --cache {resources.cache:q}"
        " {params.card} --replicate {wildcards.replicate:q} {params.chip} --output {params.output:q} --log {log:q}"


# the same on draws from the posterior of the card, on which several chips and seeds are nested
use rule train as train_sampled with:
    input:
        study.code("train_{variant}"),
        data=NETWORK / "data.json",
        card=study.card(STUDY / "calibration/samples/{sample}"),
        section=study.training_section,
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
        card=study.card_option(STUDY / "calibration/samples/{sample}"),
        chip="--card-sample {sample} --chip {chip}",
        output=at(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}"),


rule uncertainty:
    input:
        study.code("uncertainty"),
        study.tuned,
        cards=study.sampled_cards,
        section=SECTION["network"],
        runs=study.sampled,
    output:
        table=SUMMARY / "uncertainty.csv",
        seal=SUMMARY / f"uncertainty.csv{SEAL}",
        figure=STUDY / "figures/uncertainty.png",
    log:
        LOGS / "network/uncertainty.log",
    conda:
        "../environment.yml"
    params:
        cards=at(STUDY / "calibration/samples"),
        runs=at(NETWORK / "sampled"),
        tuned=study.tuned_option,
    shell:
        "python -m network uncertainty --config {input.section:q} --sampled {params.runs:q}"
        " --cards {params.cards:q} {params.tuned} --output {output.table:q} --figure {output.figure:q} 2>&1 | tee {log:q}"


rule summarise:
    input:
        study.code("summarise"),
        study.tuned,
        card=rules.card.output,
        section=SECTION["network"],
        runs=lambda w: study.run_files(w.study),
    output:
        [SUMMARY / name for name in TABLES],
    log:
        LOGS / "network/summarise.log",
    conda:
        "../environment.yml"
    params:
        card=at(CARD),
        runs=lambda w: study.runs(w.study),
        tuned=study.tuned_option,
        output=at(SUMMARY),
    shell:
        "python -m network summarise --runs {params.runs:q} --config {input.section:q}"
        " --card {params.card:q} {params.tuned} --output {params.output:q} 2>&1 | tee {log:q}"


rule systems:
    input:
        study.code("systems"),
        rules.card.output,
        rules.summarise.output,
        SECTION["resolved"],
    output:
        table=SUMMARY / "systems.csv",
        seal=SUMMARY / f"systems.csv{SEAL}",
    log:
        LOGS / "network/systems.log",
    conda:
        "../environment.yml"
    params:
        study=at(STUDY),
    shell:
        "python -m network systems --studies {params.study:q} --output {output.table:q} 2>&1 | tee {log:q}"


if study.is_scan:  # of any other study nothing is compared

    rule scan:
        input:
            study.of_any("scan"),
            study.every([*rules.card.output, *rules.summarise.output], lambda facts: facts.trains),
            points=study.labels,
        output:
            table=ROOT / "scan.csv",
            seal=ROOT / f"scan.csv{SEAL}",
        log:
            ROOT / "logs/scan.log",
        conda:
            "../environment.yml"
        params:
            studies=ROOT / "points",
        shell:
            "python -m network scan --config {input.points:q} --studies {params.studies:q}"
            " --output {output.table:q} 2>&1 | tee {log:q}"


rule network:
    input:
        study.all_run_files,
        study.every(rules.summarise.output, lambda facts: facts.trains),
        study.every([*rules.systems.output], lambda facts: facts.trains and facts.compares),
        study.every([*rules.uncertainty.output], lambda facts: facts.trains and facts.samples[0]),
        rules.scan.output if study.is_scan else [],
