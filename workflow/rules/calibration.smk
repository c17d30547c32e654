"""Stage 2. In: stage 1's tables or a user's files, the calibration section. Out: the kernel card and its figures."""

CARD = STUDY / "calibration" / "card"
CARD_FILES = ["states.csv", "pulses.csv", "transitions.csv", "population.csv", "reads.csv", "card.json"]


rule card:
    input:
        code("card", [*sources("calibration"), *COMMON, *Path("calibration/sources/library").glob("*.yaml")]),
        writes,
        of(lambda plan: plan.card_inputs),
        section=SECTION["calibration"],
    output:
        [CARD / name for name in CARD_FILES],
        # what an import left out; empty for other sources
        dropped=STUDY / "calibration" / "dropped.csv",
    log:
        LOGS / "calibration/card.log",
    conda:
        "../../environment.yml"
    params:
        device_sims=writes_option,
        output=at(CARD),
    shell:
        "python -m calibration card --config {input.section:q} {params.device_sims}"
        " --dropped {output.dropped:q} --output {params.output:q} --log {log:q}"


rule card_sample:
    input:
        code("card_sample", [*sources("calibration"), *COMMON]),
        card=rules.card.output,
    output:
        [STUDY / "calibration/samples/{sample}" / Path(name).name for name in CARD_FILES],
    log:
        LOGS / "calibration/sample_{sample}.log",
    wildcard_constraints:
        sample="[0-9]+",
    conda:
        "../../environment.yml"
    params:
        card=at(CARD),
        seed=lambda w: PLANS[w.study].config["seed"],
        output=at(STUDY / "calibration/samples/{sample}"),
    shell:
        "python -m calibration sample {params.card:q} --seed {params.seed} --number {wildcards.sample}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule card_figures:
    input:
        code("card_figures", sources("calibration")),
        writes,
        card=rules.card.output,
        section=SECTION["calibration"],
    output:
        STUDY / "figures/writes_by_pulse.png",
    log:
        LOGS / "calibration/figures.log",
    conda:
        "../../environment.yml"
    params:
        card=at(CARD),
        device_sims=writes_option,
        output=at(STUDY / "figures"),
    shell:
        "python -m calibration figures --card {params.card:q} {params.device_sims}"
        " --config {input.section:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule calibration:
    input:
        every([*rules.card.output, *rules.card_figures.output]),
