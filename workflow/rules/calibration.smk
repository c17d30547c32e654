"""Stage 2. In: stage 1's events, pulses and device, the calibration section. Out: the kernel card and its figures."""

CARD = STUDY / "calibration" / "card"


rule card:
    input:
        sources("calibration"),
        COMMON,
        events=DEVICE_SIMS / "events.parquet",
        pulses=DEVICE_SIMS / "pulses.csv",
        device=DEVICE_SIMS / "device.json",
        section=SECTIONS["calibration"],
    output:
        CARD / "states.csv",
        CARD / "pulses.csv",
        CARD / "transitions.csv",
        CARD / "population.csv",
        CARD / "reads.csv",
        CARD / "card.json",
    log:
        LOGS / "calibration/card.log",
    conda:
        "../../environment.yml"
    params:
        output=CARD,
    shell:
        "python -m calibration card --config {input.section:q} --events {input.events:q}"
        " --pulses {input.pulses:q} --device {input.device:q} --output {params.output:q} --log {log:q}"


rule card_figures:
    input:
        sources("calibration"),
        card=rules.card.output,
        events=DEVICE_SIMS / "events.parquet",
        section=SECTIONS["calibration"],
    output:
        report(
            STUDY / "figures/final_positions.png",
            caption=str(CAPTIONS / "final_positions.rst"),
            category="2 Transition table",
            labels={"figure": "1 histograms of the final position"},
        ),
        report(
            STUDY / "figures/transitions.png",
            caption=str(CAPTIONS / "transitions.rst"),
            category="2 Transition table",
            labels={"figure": "2 transition matrix"},
        ),
        report(
            STUDY / "figures/conductance.png",
            caption=str(CAPTIONS / "conductance.rst"),
            category="2 Transition table",
            labels={"figure": "3 conductance map"},
        ),
    log:
        LOGS / "calibration/figures.log",
    conda:
        "../../environment.yml"
    params:
        card=CARD,
        output=STUDY / "figures",
    shell:
        "python -m calibration figures --card {params.card:q} --events {input.events:q}"
        " --config {input.section:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule calibration:
    input:
        rules.card.output,
        rules.card_figures.output,
