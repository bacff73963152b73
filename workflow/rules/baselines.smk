# Train the baselines of table 1 on packed datasets, and predict with them. No GPU is used.


rule train_baseline:
    input:
        manifest="data/{dataset}/manifest.json",
        tracking=ancient(TRACKING),
    output:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/record.json",
    log:
        f"{RESULTS}/logs/train-baseline/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/logs/train-baseline/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.benchmark.tsv"
    wildcard_constraints:
        variant=BASELINES,
    priority: 1
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    params:
        code=fingerprint("train-baseline"),
        folder=subpath(output.model, parent=True),
    message:
        "train {wildcards.variant} seed {wildcards.seed} on {wildcards.dataset}"
    shell:
        "alexnet2012 train-baseline {params.folder:q} --tracking {input.tracking:q} > {log:q} 2>&1"


rule predict_baseline:
    input:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/record.json",
        manifest="data/{dataset}/manifest.json",
    output:
        predicted(PREDICTIONS),
    log:
        f"{RESULTS}/logs/predict-baseline/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}-{{split}}.log",
    wildcard_constraints:
        variant=BASELINES,
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    params:
        code=fingerprint("predict-baseline"),
        run=subpath(input.model, parent=True),
        folder=subpath(output[0], parent=True),
    message:
        "predict {wildcards.split} of {wildcards.dataset} by {wildcards.variant} seed {wildcards.seed}"
    shell:
        "alexnet2012 predict-baseline {params.run:q} {params.folder:q} --split {wildcards.split} > {log:q} 2>&1"
