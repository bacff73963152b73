# Images become packed datasets.


rule prepare_dataset:
    output:
        "data/{dataset}/manifest.json",
    log:
        "data/logs/prepare_{dataset}.log",
    benchmark:
        "data/logs/prepare_{dataset}.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: workflow.resource_settings.cores or 1
    params:
        code=fingerprint("prepare"),
        dataset=lambda wildcards: PLAN.config.datasets[
            wildcards.dataset
        ].model_dump_json(),
    shell:
        "alexnet2012 prepare {wildcards.dataset:q} {params.dataset:q} > {log:q} 2>&1"
