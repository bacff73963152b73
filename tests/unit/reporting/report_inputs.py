"""What a report needs beside records: figures, the ids of a tracking store; and a ledger and a table made by hand."""

from pathlib import Path

from fake_results import FakeResults, save
from PIL import Image

from alexnet2012.claims.ledger import Brief, Ledger, LedgerRow, Numbers
from alexnet2012.claims.measurement import NOT_MEASURED
from alexnet2012.reporting.format import Bullets, Details, Heading, Page, Table
from alexnet2012.reporting.page import render_page
from alexnet2012.reporting.page_parts import read_figures, read_store

VERDICTS = {
    "C03": "sign supported on photos, scaled net, 4 epochs, 2 seeds",
    "C04": "indicative: these nets, not the method",
    "C07": "inconclusive",
    "C09": NOT_MEASURED,
    "C24": "supported",
    "C25": "contradicted",
}
COLOURS = {"C03": "supported", "C04": "indicative", "C24": "supported"}
HOSTILE = "<script>alert(1)</script> & <img src=x> ![x](http://example.org/x.png) [y](http://example.org)"
TABLE1 = Page(
    "Table 1: some",
    [
        Heading("photos"),
        "Words of **weight**, then `code`: <b>alone</b>.",
        Table(
            ["Model", "paper top-1", "top-1"],
            [["Sparse coding [2]", "47.1 %", "44.9 % [42.8, 46.9]"], ["1 CNN*", HOSTILE, "7 CNNs*"]],
        ),
        Bullets(["a note"]),
        Details("Provenance & <more>", [Bullets(["dataset: photos, digest `0123`", "commit: `0123456789ab`"])]),
    ],
)


def make_claim(name: str, verdict: str) -> LedgerRow:
    return LedgerRow(
        id=name,
        text=f"what {name} says",
        reading="",
        section="§3.1",
        paper="6x",
        measured=NOT_MEASURED if verdict == NOT_MEASURED else "2.61 [2.17, 3.06] / 0.4 [0.1, 0.7] points",
        verdict=verdict,
        colour=COLOURS.get(name, verdict),
        note="a difference of 1.5 points would have been found" if name == "C07" else "",
        conditions=HOSTILE if name == "C07" else "photos; `test`",
        interval="[2.17, 3.06] points",
        family="seeds" if name == "C03" else "",
        p=0.00123 if name == "C03" else None,
        p_holm=0.00007 if name == "C03" else None,
        p_equivalence=None,
        numbers=Numbers(2.61, 2.17, 3.06, None, None, 3, 6.0, "points"),
        brief=Brief("6x", "2.61 [2.17, 3.06] points", verdict.partition(" on ")[0]),
    )


LEDGER = Ledger("photos", tuple(make_claim(*each) for each in VERDICTS.items()), ("gap: 0.5 points",))


def write_report_inputs(folder: Path) -> None:
    (folder / "figures").mkdir()
    for k, name in enumerate(("figure1", "figure3")):
        Image.new("RGB", (60 + 2 * k, 40), (200, 30, 30)).save(folder / "figures" / f"{name}.png", dpi=(192, 192))
    described = [
        {"file": "figure1.png", "title": 'Figure 1: "ReLU" & tanh', "caption": HOSTILE},
        {"file": "figure3.png", "title": "Figure 3", "caption": "Kernels of conv1.", "alt": "Eight grey squares."},
    ]
    save(folder / "figures" / "figures.json", described)
    save(
        folder / "tracking.json",
        {"uri": "sqlite:////results/mlflow.db", "experiment_id": "7", "parent_run_id": "p", "name": "some"},
    )


def render_by_hand(fake: FakeResults) -> str:
    """The page of fake results with LEDGER and TABLE1."""
    figures, store = read_figures(fake.folder / "figures"), read_store(fake.folder / "tracking.json")
    return render_page(fake.load(), [LEDGER], {"table1": TABLE1}, figures, store)
