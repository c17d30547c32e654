"""Stage 2. In: stage 1's tables or a user's files, the calibration section. Out: the kernel card and its figures."""

CARD = STUDY / "calibration" / "card"
CARD_FILES = ["states.csv", "pulses.csv", "transitions.csv", "population.csv", "reads.csv", "card.json"]
WRITES = [DEVICE_SIMS / name for name in ("events.parquet", "pulses.csv", "device.json")] if PLAN.simulates else []

PARAMETRIC = "workflow/schemas/sources/parametric.yaml"


rule card:
    input:
        code("card", [*sources("calibration"), *COMMON, *Path("calibration/library").glob("*.yaml"), PARAMETRIC]),
        WRITES,
        PLAN.card_inputs,
        section=SECTIONS["calibration"],
    output:
        [CARD / name for name in CARD_FILES],
        # what an import left out; empty for other sources
        dropped=STUDY / "calibration" / "dropped.csv",
    log:
        LOGS / "calibration/card.log",
    conda:
        "../../environment.yml"
    params:
        device_sims=f"--device-sims {DEVICE_SIMS}" if PLAN.simulates else "",
        output=CARD,
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
        card=CARD,
        seed=config["seed"],
        output=str(STUDY / "calibration/samples/{sample}"),
    shell:
        "python -m calibration sample {params.card:q} --seed {params.seed} --number {wildcards.sample}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule card_figures:
    input:
        code("card_figures", sources("calibration")),
        WRITES,
        card=rules.card.output,
        section=SECTIONS["calibration"],
    output:
        STUDY / "figures/writes_by_pulse.png",
        STUDY / "figures/transitions.png",
        STUDY / "figures/conductance.png",
        STUDY / "figures/spread.png",
    log:
        LOGS / "calibration/figures.log",
    conda:
        "../../environment.yml"
    params:
        card=CARD,
        device_sims=f"--device-sims {DEVICE_SIMS}" if PLAN.simulates else "",
        output=STUDY / "figures",
    shell:
        "python -m calibration figures --card {params.card:q} {params.device_sims}"
        " --config {input.section:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule calibration:
    input:
        rules.card.output,
        rules.card_figures.output,
