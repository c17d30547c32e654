"""The report. In: the tables of all stages, the config. Out: report.html, one page that needs no network.

And the data package. In: every table and picture. Out: datapackage.json, with their types and units. A scan has both too, of its
own table.
"""

# the engines' evidence, if somebody has computed it: no input, which would compute it now
EVIDENCE = VALIDATION / "validation.csv"
SCAN_PAGES = [ROOT / "report.html", ROOT / "datapackage.json"] if study.is_scan else []


rule report:
    input:
        study.every([STUDY / "report.html", STUDY / "datapackage.json"]),
        SCAN_PAGES,


rule report_html:
    input:
        study.code("report"),
        study.made(lambda facts: facts.simulates, rules.collect.output),
        study.pictures(rules.picture.output),
        rules.card.output,
        study.made(lambda facts: facts.trains, [*rules.data.output, *rules.summarise.output]),
        study.made(lambda facts: facts.trains and facts.compares, rules.systems.output),
        SECTION["resolved"],
        SECTION["pictures"],
    output:
        STUDY / "report.html",
    log:
        LOGS / "report.log",
    conda:
        "../environment.yml"
    params:
        study=at(STUDY),
        validation=EVIDENCE,
        evidence=sha256_file(EVIDENCE) if EVIDENCE.exists() else "",
    shell:
        "python -m report --study {params.study:q} --validation {params.validation:q} --output {output:q} > {log:q} 2>&1"
        " || (cat {log:q} >&2; exit 1)"


rule data_package:
    input:
        study.made(lambda facts: facts.simulates, rules.collect.output),
        study.pictures(rules.picture.output),
        rules.card.output,
        rules.card_figures.output,
        study.made(lambda facts: facts.trains, rules.summarise.output),
        study.made(lambda facts: facts.trains and facts.compares, rules.systems.output),
        study.made(lambda facts: facts.trains and facts.samples[0], rules.uncertainty.output),
        study.code("data_package"),
        SECTION["pictures"],
    output:
        STUDY / "datapackage.json",
    log:
        LOGS / "package.log",
    conda:
        "../environment.yml"
    params:
        study=at(STUDY),
    shell:
        "python -m workflow.study.package --study {params.study:q} --output {output:q} > {log:q} 2>&1"
        " || (cat {log:q} >&2; exit 1)"


if study.is_scan:  # of any other study these are the files that the rules above make

    rule scan_report:
        input:
            study.of_any("report"),
            study.every([SECTION["resolved"]]),
            study.shared,
            points=study.labels,
            table=rules.scan.output.table,
        output:
            ROOT / "report.html",
        log:
            ROOT / "logs/report.log",
        conda:
            "../environment.yml"
        params:
            scan=ROOT,
        shell:
            "python -m report --scan {params.scan:q} --output {output:q} > {log:q} 2>&1 || (cat {log:q} >&2; exit 1)"

    rule scan_package:
        input:
            study.of_any("data_package"),
            rules.scan.output.table,
        output:
            ROOT / "datapackage.json",
        log:
            ROOT / "logs/package.log",
        conda:
            "../environment.yml"
        params:
            study=ROOT,
        shell:
            "python -m workflow.study.package --study {params.study:q} --output {output:q} > {log:q} 2>&1"
            " || (cat {log:q} >&2; exit 1)"
