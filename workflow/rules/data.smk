# Images become packed datasets.


def made_of(wildcards):
    """What is packed again where it changes: the images that are rotated, the list of classes."""
    dataset = PLAN.config.datasets[wildcards.dataset]
    manifests = [f"data/{dataset.of}/manifest.json"] if dataset.of else []
    # A list that is missing is told by list_missing.
    lists = [dataset.class_list] if dataset.class_list and Path(dataset.class_list).exists() else []
    return [*manifests, *lists]


rule prepare_dataset:
    input:
        made_of,
    output:
        "data/{dataset}/manifest.json",
    log:
        "data/logs/prepare_{dataset}.log",
    benchmark:
        "data/logs/prepare_{dataset}.benchmark.tsv"
    # Before any training: a mistake in the last dataset must not wait for the nets of the first.
    priority: 2
    conda:
        ENVIRONMENT
    threads: all_cores()
    params:
        code=fingerprint("prepare"),
        # What makes the images these and no others; archives that moved are not packed again.
        images=lambda wildcards: json.dumps(PLAN.config.datasets[wildcards.dataset].identity),
        settings=lambda wildcards: str(preflight.settings_file(wildcards.dataset, DATA)),
    shell:
        "alexnet2012 prepare {wildcards.dataset:q} @{params.settings:q} > {log:q} 2>&1"
