# Render the report from tables, ledger, figures and records; write a model card beside each net's weights.


rule render_report:
    input:
        experiments=EXPERIMENTS,
        tables=TABLES,
        claims=CLAIMS,
        figures=FIGURES,
        tracking=ancient(TRACKING),
    output:
        report(REPORT, caption="../report/report.rst", category="Report", labels={"page": "Report"}),
    log:
        f"{RESULTS}/logs/render_report.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        code=fingerprint("report"),
        folder=subpath(input.experiments, parent=True),
    message:
        "render report.html"
    shell:
        "alexnet2012 report {params.folder:q} > {log:q} 2>&1"


rule write_model_cards:
    input:
        experiments=EXPERIMENTS,
        records=lambda wildcards: files_of(shown().trainings, "record.json"),
        predictions=lambda wildcards: records_of(*shown().runs, *shown().ensembles),
    output:
        CARDS,
    log:
        f"{RESULTS}/logs/write_model_cards.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        code=fingerprint("cards"),
        folder=subpath(input.experiments, parent=True),
    message:
        "write model cards"
    shell:
        "alexnet2012 cards {params.folder:q} > {log:q} 2>&1"
