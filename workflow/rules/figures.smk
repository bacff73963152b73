# Records, histories and analyses become figures.

from alexnet2012.reporting.figures.names import list_files


def sure_figures():
    """The pictures of every target, as outputs are the same for all; others lie beside, as figures.json says."""
    default, full = (
        list_files([(each.dataset, each.variant) for each in plan.experiments], analysed=bool(plan.analysed))
        for plan in (PLAN.narrow(), PLAN)
    )
    return [f"{RESULTS}/figures/{name}" for name in default if name in full]


rule draw_figures:
    input:
        experiments=EXPERIMENTS,
        records=lambda wildcards: files_of(shown().runs, "record.json"),
        histories=lambda wildcards: files_of([run for run in shown().runs if not run.is_baseline], "history.parquet"),
        predictions=lambda wildcards: records_of(*shown().runs, *shown().ensembles),
        analyses=lambda wildcards: analyses_of(shown()),
    output:
        FIGURES,
        [
            report(
                figure,
                caption=f"../report/{Path(figure).stem.partition('-')[0]}.rst",
                category="Figures",
            )
            for figure in sure_figures()
        ],
    log:
        f"{RESULTS}/logs/draw_figures.log",
    conda:
        ENVIRONMENT
    threads: claim_cores(1)
    params:
        code=fingerprint("figures"),
        folder=subpath(input.experiments, parent=True),
    shell:
        "alexnet2012 figures {params.folder:q} > {log:q} 2>&1"
