# Set up the MLflow store in one process before anything is logged, and publish the tables at the end.


rule initialise_tracking:
    output:
        TRACKING,
    log:
        f"{RESULTS}/logs/initialise_tracking.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        name=PLAN.config.name,
    message:
        "initialise the run browser's store"
    shell:
        "alexnet2012 track {params.name:q} {output:q} > {log:q} 2>&1"


rule publish_tables:
    input:
        tables=TABLES,
        shown=[CLAIMS, FIGURES, REPORT, CARDS],
        tracking=ancient(TRACKING),
    output:
        PUBLISHED,
    log:
        f"{RESULTS}/logs/publish_tables.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    message:
        "publish tables in the run browser"
    shell:
        "alexnet2012 publish {input.tables:q} --tracking {input.tracking:q} --output {output:q} > {log:q} 2>&1"
