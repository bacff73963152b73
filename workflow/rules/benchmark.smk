# How fast each part is, beside what people would use instead: only on demand, by `make bench`.


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
    # All cores: nothing else may run beside it.
    threads: ALL_CORES
    resources:
        gpu=1,
    params:
        # No output: what was measured before a benchmark failed is kept.
        raw=f"{RESULTS}/benchmarks/raw.json",
        folder=subpath(output[1], parent=True),
    message:
        "benchmark every part, with nothing beside it"
    shell:
        "(mkdir -p {params.folder:q}/benchmarks"
        " && pytest tests/benchmarks --benchmark-only --benchmark-json={params.raw:q}"
        " && alexnet2012 benchmarks {params.raw:q} {params.folder:q} --tracking {input.tracking:q}) > {log:q} 2>&1"
