# Records become tables.


rule list_experiments:
    output:
        f"{RESULTS}/experiments.json",
    log:
        f"{RESULTS}/logs/list_experiments.log",
    # Before everything else: with it a run that goes on for days can be committed as it comes, by `make reference`.
    priority: 3
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        experiments=lambda wildcards: json.dumps(plan().list_experiments()),
    shell:
        "printf '%s\\n' {params.experiments:q} > {output:q} 2> {log:q}"


rule render_tables:
    input:
        experiments=f"{RESULTS}/experiments.json",
        records=lambda wildcards: [f"{run.folder}/record.json" for run in plan().runs],
        predictions=lambda wildcards: records(*plan().runs, *plan().ensembles),
        analyses=lambda wildcards: analyses(plan()),
        calibrations=made_calibrations,
    output:
        CLAIMS,
        [report(table, caption=f"../report/{Path(table).stem}.rst", category="Tables") for table in tables()],
    log:
        f"{RESULTS}/logs/render_tables.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        code=fingerprint("tables"),
        folder=lambda wildcards, input: os.path.dirname(input.experiments),
    shell:
        "alexnet2012 tables {params.folder:q} > {log:q} 2>&1"
