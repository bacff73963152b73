"""Which figures a plan gives and what their files are called; free of heavy imports, as the workflow reads it too."""

from collections.abc import Iterable

ANALYSED = "figure4"

OF_IMAGES = (ANALYSED,)  # these show images of the dataset, which may not be anyone's to publish

# Each figure with variants that suffice for it, those of differences being any claim's; as a reader wants them: what
# came out first, the paper's figures last.
NEEDED = {
    "claims": (),
    "errors": (),
    "curves": (),
    "differences": ("cnn", "one-gpu"),
    "crops": ("cnn",),
    "figure1": ("four-layer-relu", "four-layer-tanh"),
    "figure3": ("cnn",),
    ANALYSED: ("cnn",),
}


def list_files(experiments: Iterable[tuple[str, str | None]], analysed: bool) -> list[str]:
    """The PNGs that experiments, each (dataset, variant or None), are sure to give once they are run.

    `analysed`: their nets are analysed as well.
    """
    experiments = list(experiments)
    datasets = list(dict.fromkeys(dataset for dataset, _ in experiments))
    return [
        name_file(figure, dataset, datasets)
        for dataset in datasets
        for figure, variants in NEEDED.items()
        if all((dataset, variant) in experiments for variant in variants) and (analysed or figure != ANALYSED)
    ]


def name_file(figure: str, dataset: str, datasets: list[str]) -> str:
    """figure3.png; where there are several datasets, figure3-ilsvrc2012.png."""
    return f"{figure}.png" if len(datasets) == 1 else f"{figure}-{dataset}.png"
