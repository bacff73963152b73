# Compare the speed of each part with its alternatives; runs only on demand (`make bench`).


rule benchmark:
    input:
        tracking=ancient(TRACKING),
    output:
        f"{RESULTS}/tables/benchmarks.md",
        f"{RESULTS}/benchmarks.json",
    log:
        f"{RESULTS}/logs/benchmark.log",
    conda:
        ENVIRONMENT
    # All cores, so that nothing else runs at the same time.
    threads: ALL_CORES
    resources:
        gpu=1,
    params:
        # Not an output, so that measurements are kept if a benchmark fails.
        raw=f"{RESULTS}/benchmarks/raw.json",
        folder=subpath(output[1], parent=True),
    message:
        "benchmark every part, with nothing beside it"
    shell:
        "(mkdir -p {params.folder:q}/benchmarks"
        " && pytest tests/benchmarks --benchmark-only --benchmark-json={params.raw:q}"
        " && alexnet2012 benchmarks {params.raw:q} {params.folder:q} --tracking {input.tracking:q}) > {log:q} 2>&1"
