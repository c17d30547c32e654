"""Stage 1. In: the device_sims section. Out: device_sims/{events,trajectories,pulses,summary,points,device}.

Each chunk of the sweep is a job of its own, at a path that is the hash of what the engine sees. Its specification is an
`ancient` input because the hash already says whether a chunk is still the one that is wanted. The points of a scan share
the chunks.
"""

from device_sims.sweep.names import PICTURES, TABLES

CHUNKS = ROOT / "device_sims/chunks"


rule simulate:
    input:
        study.chunk_code,
        spec=ancient(ROOT / "config/chunks/{chunk}.json"),
    output:
        CHUNKS / "{chunk}.events.parquet",
        CHUNKS / "{chunk}.trajectories.parquet",
    log:
        ROOT / "logs/device_sims/{chunk}.log",
    wildcard_constraints:
        chunk="[0-9a-f]{64}",
    conda:
        "../environment.yml"
    resources:
        mem_mb=1500,
        gpu=study.chunk_gpus,
    params:
        output=CHUNKS,
    shell:
        "python -m device_sims chunk --spec {input.spec:q} --output {params.output:q} --log {log:q}"


rule collect:
    input:
        study.code("collect"),
        study.of(lambda facts: [path.format(chunk=one) for one in facts.chunks for path in rules.simulate.output]),
        section=SECTION["device_sims"],
    output:
        [DEVICE_SIMS / name for name in (*TABLES, SUMS)],
    log:
        LOGS / "device_sims/collect.log",
    conda:
        "../environment.yml"
    params:
        chunks=CHUNKS,
        output=at(DEVICE_SIMS),
    shell:
        "python -m device_sims collect --config {input.section:q} --chunks {params.chunks:q}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule wells:
    input:
        study.wells_code,
        spec=ancient(ROOT / "config/wells/{search}.json"),
    output:
        ROOT / "device_sims/wells/{search}.csv",
    log:
        ROOT / "logs/device_sims/wells_{search}.log",
    wildcard_constraints:
        search="[0-9a-f]{64}",
    conda:
        "../environment.yml"
    resources:
        mem_mb=3000,
    shell:
        "python -m device_sims wells --spec {input.spec:q} --output {output:q} > {log:q} 2>&1"
        " || (cat {log:q} >&2; exit 1)"


rule barriers:
    input:
        study.code("barriers"),
        tables=study.of(lambda facts: [str(ROOT / f"device_sims/wells/{one}.csv") for one in facts.wells]),
    output:
        BARRIERS,
        f"{BARRIERS}{SEAL}",
    log:
        LOGS / "device_sims/barriers.log",
    conda:
        "../environment.yml"
    params:
        output=at(BARRIERS),
    shell:
        "python -m device_sims collect_wells {input.tables:q} --output {params.output:q} 2>&1 | tee {log:q}"


rule picture:
    input:
        study.code("picture"),
        spec=ancient(study.of_pulse(ROOT / "config/chunks/{chunk}.json")),
        section=SECTION["pictures"],
    output:
        [DEVICE_SIMS / f"pictures/pulse_{{pulse}}{ending}" for ending in PICTURES],
    log:
        LOGS / "device_sims/pulse_{pulse}.log",
    wildcard_constraints:
        pulse="[0-9]+",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1500,
    params:
        stem=at(DEVICE_SIMS / "pictures/pulse_{pulse}"),
    shell:
        "python -m device_sims event --spec {input.spec:q} --config {input.section:q} --output {params.stem:q}"
        " > {log:q} 2>&1 || (cat {log:q} >&2; exit 1)"


rule device_sims:
    input:
        study.every(rules.collect.output, lambda facts: facts.simulates),
