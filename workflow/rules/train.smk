# Train nets on packed datasets.


rule train_net:
    input:
        manifest="data/{dataset}/manifest.json",
        tracking=ancient(TRACKING),
        searches=lambda wildcards: files_of(SEARCHES.get(run_of(wildcards).folder, ()), "record.json"),
        start=start_of,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.parquet",
        answers=f"{RUN}/answers.npz",
        record=f"{RUN}/record.json",
    log:
        f"{RESULTS}/logs/train/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/logs/train/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.benchmark.tsv"
    wildcard_constraints:
        variant=NETS,
    # Before predictions, because cores would be idle if the longest jobs came last.
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda wildcards: run_of(wildcards).training_threads * CORES_A_THREAD
    resources:
        gpu=lambda wildcards: run_of(wildcards).runtime.gpus_per_training,
    params:
        code=lambda wildcards: fingerprint(run_of(wildcards).training_stage),
        folder=subpath(output.model, parent=True),
        search=lambda wildcards, input: option("--search", input.searches),
        start=lambda wildcards, input: option("--start", input.start),
    message:
        "train {wildcards.variant} seed {wildcards.seed} on {wildcards.dataset}"
    shell:
        "alexnet2012 train {params.folder:q} --tracking {input.tracking:q} {params.search:q} {params.start:q}"
        " --gpus {resources.gpu} > {log:q} 2>&1"
