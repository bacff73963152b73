# Records, histories and analyses become figures.


rule draw_figures:
    input:
        experiments=f"{RESULTS}/experiments.json",
        records=lambda wildcards: [f"{run.folder}/record.json" for run in plan().runs],
        histories=lambda wildcards: [f"{run.folder}/history.parquet" for run in plan().runs if not run.is_baseline],
        predictions=lambda wildcards: records(*plan().runs, *plan().ensembles),
        analyses=lambda wildcards: analyses(plan()),
    output:
        FIGURES,
        [
            report(
                figure,
                caption=f"../report/{Path(figure).stem.partition('-')[0]}.rst",
                category="Figures",
            )
            for figure in figures()
        ],
    log:
        f"{RESULTS}/logs/draw_figures.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        code=fingerprint("figures"),
        folder=lambda wildcards, input: os.path.dirname(input.experiments),
    shell:
        "alexnet2012 figures {params.folder:q} > {log:q} 2>&1"
