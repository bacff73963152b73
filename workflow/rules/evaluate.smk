# Check the data by a net of known accuracy; predict with nets; average predictions of ensembles; analyse the base nets.

CALIBRATION = PLAN.config.calibration


rule calibrate:
    input:
        lambda wildcards: f"data/{preflight.require_calibration(PLAN.config, SOURCE).dataset}/manifest.json",
    output:
        f"{RESULTS}/calibration/{CALIBRATION.dataset if CALIBRATION else '-'}.json",
    log:
        f"{RESULTS}/logs/calibrate.log",
    conda:
        ENVIRONMENT
    threads: ALL_CORES
    resources:
        gpu=1,
    params:
        code=fingerprint("calibrate"),
        dataset=lambda wildcards: CALIBRATION.dataset,
        weights=lambda wildcards: ["--weights", CALIBRATION.weights] if CALIBRATION.weights else [],
    message:
        "check the images by torchvision's AlexNet"
    shell:
        "alexnet2012 calibrate {params.dataset:q} {output:q} {params.weights:q}"
        " --gpus {resources.gpu} > {log:q} 2>&1"


rule predict:
    input:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/record.json",
        manifest="data/{dataset}/manifest.json",
    output:
        predicted(PREDICTIONS, "val"),
        predicted(PREDICTIONS, "test"),
    log:
        f"{RESULTS}/logs/predict/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/logs/predict/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.benchmark.tsv"
    wildcard_constraints:
        variant=NETS,
        dataset=TESTED,
    conda:
        ENVIRONMENT
    threads: lambda wildcards: run_of(wildcards).training.torch_threads * CORES_A_THREAD
    resources:
        gpu=1,
    params:
        code=fingerprint("predict"),
        run=subpath(input.model, parent=True),
        folder=subpath(output[0], parent=True),
        splits=lambda wildcards: run_of(wildcards).splits,
    message:
        "predict {wildcards.dataset} by {wildcards.variant} seed {wildcards.seed}"
    shell:
        "alexnet2012 predict {params.run:q} {params.folder:q} --split {params.splits}"
        " --gpus {resources.gpu} > {log:q} 2>&1"


use rule predict as predict_val with:
    output:
        predicted(PREDICTIONS, "val"),
    wildcard_constraints:
        variant=NETS,
        dataset=UNTESTED,


rule analyse:
    input:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/record.json",
        manifest="data/{dataset}/manifest.json",
    output:
        f"{ANALYSIS}/analysis.json",
        f"{ANALYSIS}/examples.npz",
    log:
        f"{RESULTS}/logs/analyse/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/logs/analyse/{{dataset}}/{{variant}}-{{hash8}}/seed{{seed}}.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: lambda wildcards: run_of(wildcards).training.torch_threads * CORES_A_THREAD
    resources:
        gpu=1,
    params:
        code=fingerprint("analyse"),
        run=subpath(input.model, parent=True),
        folder=subpath(output[0], parent=True),
    message:
        "analyse {wildcards.variant} seed {wildcards.seed} on {wildcards.dataset}"
    shell:
        "alexnet2012 analyse {params.run:q} {params.folder:q} --gpus {resources.gpu} > {log:q} 2>&1"


rule average:
    input:
        members=lambda wildcards: [
            file
            for run in members_of(wildcards)
            for file in predicted(run.predictions, wildcards.split, ends=("-ten_crop.npy", "-centre.npy", ".json"))
        ],
        manifest="data/{dataset}/manifest.json",
    output:
        predicted(AVERAGE),
    log:
        f"{RESULTS}/logs/average/{{dataset}}/{{ensemble}}-{{hash8}}-{{split}}.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        code=fingerprint("average"),
        members=lambda wildcards: [str(run.predictions) for run in members_of(wildcards)],
        folder=subpath(output[0], parent=True),
    message:
        "average {wildcards.ensemble} on {wildcards.split} of {wildcards.dataset}"
    shell:
        "alexnet2012 average {wildcards.ensemble:q} {params.folder:q} --members {params.members:q}"
        " --split {wildcards.split} > {log:q} 2>&1"
