# Pack images into datasets.


rule prepare_dataset:
    input:
        lambda wildcards: preflight.list_packed_from(PLAN.config.datasets[wildcards.dataset], DATA),
    output:
        "data/{dataset}/manifest.json",
    log:
        "data/logs/prepare_{dataset}.log",
    benchmark:
        "data/logs/prepare_{dataset}.benchmark.tsv"
    # Before any training, so that a mistake in the last dataset is found before the nets of the first are trained.
    priority: 2
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    params:
        code=fingerprint("prepare"),
        # Identifies the images, so that they are packed again if they change, but not if archives are moved.
        images=lambda wildcards: json.dumps(PLAN.config.datasets[wildcards.dataset].identity),
        settings=lambda wildcards: str(preflight.settings_file(wildcards.dataset, DATA)),
    message:
        "prepare {wildcards.dataset}"
    shell:
        "alexnet2012 prepare {wildcards.dataset:q} @{params.settings:q} > {log:q} 2>&1"
