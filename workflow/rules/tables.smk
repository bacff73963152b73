# Render tables from records.


rule list_experiments:
    output:
        EXPERIMENTS,
    log:
        f"{RESULTS}/logs/list_experiments.log",
    # First, because `make reference` needs it to commit intermediate results of a long run.
    priority: 3
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        experiments=lambda wildcards: json.dumps(shown().list_experiments()),
    message:
        "list the experiments"
    shell:
        "printf '%s\\n' {params.experiments:q} > {output:q} 2> {log:q}"


rule render_tables:
    input:
        experiments=EXPERIMENTS,
        records=lambda wildcards: files_of(shown().runs, "record.json"),
        predictions=lambda wildcards: records_of(*shown().runs, *shown().ensembles),
        analyses=lambda wildcards: analyses_of(shown()),
        # Optional: tables show existing calibrations.
        calibrations=lambda wildcards: sorted(map(str, Path(RESULTS, "calibration").glob("*.json"))),
    output:
        CLAIMS,
        ERRORS,
        [
            report(
                table,
                caption=f"../report/{Path(table).stem}.rst",
                category="Tables",
                labels={"table": TITLES[Path(table).stem]},
            )
            for table in TABLES
        ],
    log:
        f"{RESULTS}/logs/render_tables.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        code=fingerprint("tables"),
        folder=subpath(input.experiments, parent=True),
    message:
        "render tables"
    shell:
        "alexnet2012 tables {params.folder:q} > {log:q} 2>&1"
