# Tables, the ledger, figures and records become one page.


rule render_report:
    input:
        experiments=f"{RESULTS}/experiments.json",
        tables=tables(),
        claims=CLAIMS,
        figures=FIGURES,
        tracking=ancient(TRACKING),
    output:
        report(REPORT, caption="../report/report.rst", category="Report"),
    log:
        f"{RESULTS}/logs/render_report.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        code=fingerprint("report"),
        folder=lambda wildcards, input: os.path.dirname(input.experiments),
    shell:
        "alexnet2012 report {params.folder:q} > {log:q} 2>&1"
