# Packed datasets become nets.


rule resolve_run:
    output:
        f"{RUN}/config.yaml",
    log:
        f"{RESULTS}/logs/resolve/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        values=lambda wildcards: run_of(wildcards).model_dump_json(),
    shell:
        "alexnet2012 resolve {params.values:q} {output:q} > {log:q} 2>&1"


rule train_net:
    input:
        # All that decides the result is in the hash of the path; what else config.yaml holds must not retrain.
        config=ancient(f"{RUN}/config.yaml"),
        manifest="data/{dataset}/manifest.json",
        tracking=ancient(TRACKING),
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.parquet",
        record=f"{RUN}/record.json",
    log:
        f"{RESULTS}/logs/train/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/logs/train/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: lambda wildcards: claim_cores(run_of(wildcards).training.torch_threads)
    resources:
        gpu=lambda wildcards: run_of(wildcards).runtime.gpus_per_training,
    params:
        code=fingerprint("train"),
        folder=lambda wildcards, input: os.path.dirname(input.config),
    shell:
        "alexnet2012 train {params.folder:q} --tracking {input.tracking:q} > {log:q} 2>&1"
