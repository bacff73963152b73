# Images become packed datasets.


rule describe_dataset:
    output:
        "data/configs/{dataset}.json",
    log:
        "data/logs/describe_{dataset}.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        dataset=lambda wildcards: DATASETS[wildcards.dataset].model_dump_json(),
    shell:
        "printf '%s' {params.dataset:q} > {output:q} 2> {log:q}"


rule prepare_dataset:
    input:
        # What makes the images these and no others is in the params; moved archives must not be packed again.
        dataset=ancient("data/configs/{dataset}.json"),
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
        images=lambda wildcards: json.dumps(DATASETS[wildcards.dataset].identity),
    shell:
        "alexnet2012 prepare {wildcards.dataset:q} @{input.dataset:q} > {log:q} 2>&1"
