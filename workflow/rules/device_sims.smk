"""Stage 1. In: the device_sims section. Out: device_sims/{events,trajectories,pulses,summary,points,device}.

Each chunk of the sweep is a job of its own, at a path that is the hash of what the engine sees; the section file is
an `ancient` input because the hash already says whether a chunk is still the one that is wanted. The points of a scan
share the chunks.
"""

CHUNKS = ROOT / "device_sims/chunks"
ASKS = {chunk.chunk_hash: name for name, plan in PLANS.items() for chunk in plan.chunks}

# no simulation depends on these
ASIDE = ("tables.py", "problem_file.py", "__main__.py")
ENGINE_SOURCES = [
    *(
        path
        for path in sources("device_sims")
        if Path(path).name not in ASIDE and not {"validation", "single"} & set(Path(path).parts)
    ),
    "spinloom/files.py",
    "spinloom/streams.py",
]


rule simulate:
    input:
        code("simulate", ENGINE_SOURCES),
        section=ancient(lambda w: str(SECTION["device_sims"]).format(study=ASKS[w.chunk])),
    output:
        CHUNKS / "{chunk}.events.parquet",
        CHUNKS / "{chunk}.trajectories.parquet",
    log:
        ROOT / "logs/device_sims/{chunk}.log",
    wildcard_constraints:
        chunk="[0-9a-f]{64}",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1500,
        gpu=lambda w: int(engines.needs_gpu(PLANS[ASKS[w.chunk]].config["device_sims"]["engine"])),
    params:
        output=CHUNKS,
    shell:
        "python -m device_sims chunk --config {input.section:q} --chunk {wildcards.chunk:q}"
        " --output {params.output:q} --log {log:q}"


rule collect:
    input:
        code("collect", sources("device_sims") + COMMON),
        chunks=of(lambda plan: [path for chunk in plan.chunks for path in sweep.chunk_paths(CHUNKS, chunk.chunk_hash)]),
        section=SECTION["device_sims"],
    output:
        [DEVICE_SIMS / name for name in (*sweep.TABLES, SUMS)],
    log:
        LOGS / "device_sims/collect.log",
    conda:
        "../../environment.yml"
    params:
        chunks=CHUNKS,
        output=at(DEVICE_SIMS),
    shell:
        "python -m device_sims collect --config {input.section:q} --chunks {params.chunks:q}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule device_figure:
    input:
        code("device_figure", [*sources("device_sims/devices"), "device_sims/__main__.py"]),
        tables=rules.collect.output,
        section=SECTION["device_sims"],
    output:
        STUDY / "figures/device_response.png",
    log:
        LOGS / "device_sims/figures.log",
    conda:
        "../../environment.yml"
    params:
        tables=at(DEVICE_SIMS),
        output=at(STUDY / "figures"),
    shell:
        "python -m device_sims figure --config {input.section:q} --tables {params.tables:q}"
        " --output {params.output:q} 2>&1 | tee {log:q}"


rule device_sims:
    input:
        every(rules.collect.output, lambda plan: plan.simulates),
        every(rules.device_figure.output, lambda plan: plan.simulates),
