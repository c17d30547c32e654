"""Stage 2. In: stage 1's tables or a user's files, the calibration section. Out: the kernel card and its figures."""


rule card:
    input:
        study.code("card"),
        study.writes,
        study.barriers,
        study.of(lambda facts: facts.card_inputs),
        section=SECTION["calibration"],
    output:
        [CARD / name for name in CARD_FILES],
        # what an import left out; empty for other sources
        dropped=STUDY / "calibration" / "dropped.csv",
    log:
        LOGS / "calibration/card.log",
    conda:
        "../environment.yml"
    params:
        device_sims=study.writes_option,
        barriers=study.barriers_option,
        output=at(CARD),
    shell:
        "python -m calibration card --config {input.section:q} {params.device_sims} {params.barriers}"
        " --dropped {output.dropped:q} --output {params.output:q} --log {log:q}"


rule card_sample:
    input:
        study.code("card_sample"),
        card=rules.card.output,
    output:
        [STUDY / "calibration/samples/{sample}" / name for name in CARD_FILES],
    log:
        LOGS / "calibration/sample_{sample}.log",
    wildcard_constraints:
        sample="[0-9]+",
    conda:
        "../environment.yml"
    params:
        card=at(CARD),
        seed=study.of(lambda facts: facts.seed),
        output=at(STUDY / "calibration/samples/{sample}"),
    shell:
        "python -m calibration sample {params.card:q} --seed {params.seed} --number {wildcards.sample}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule card_figures:
    input:
        study.code("card_figures"),
        study.writes,
        card=rules.card.output,
        section=SECTION["calibration"],
    output:
        STUDY / "figures/writes_by_pulse.png",
    log:
        LOGS / "calibration/figures.log",
    conda:
        "../environment.yml"
    params:
        card=at(CARD),
        device_sims=study.writes_option,
        output=at(STUDY / "figures"),
    shell:
        "python -m calibration figures --card {params.card:q} {params.device_sims}"
        " --config {input.section:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule calibration:
    input:
        study.every([*rules.card.output, *rules.card_figures.output]),
