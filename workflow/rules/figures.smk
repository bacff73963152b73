# Draw figures from records, histories and analyses.

from alexnet2012.reporting.figures.names import list_files

# Outputs are the same for every target: the pictures that come with its experiments alone and with those of all targets;
# others lie beside, as figures.json says.
BY_DEFAULT, WITH_ALL = (
    list_files(
        [(line.experiment.dataset, line.experiment.variant) for line in plan.lines], analysed=bool(plan.analysed)
    )
    for plan in (PLAN.narrow(), PLAN)
)
SURE_FIGURES = [f"{RESULTS}/figures/{name}" for name in BY_DEFAULT if name in WITH_ALL]


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
                caption=f"../report/figures/{Path(figure).stem.partition('-')[0]}.rst",
                category="Figures",
                labels={"figure": Path(figure).stem},
            )
            for figure in SURE_FIGURES
        ],
    log:
        f"{RESULTS}/logs/draw_figures.log",
    conda:
        ENVIRONMENT
    threads: CORES_A_THREAD
    params:
        code=fingerprint("figures"),
        folder=subpath(input.experiments, parent=True),
    message:
        "draw figures"
    shell:
        "alexnet2012 figures {params.folder:q} > {log:q} 2>&1"
