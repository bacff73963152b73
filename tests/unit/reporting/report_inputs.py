"""What the report reads beside records: a ledger, tables, figures and the ids of a tracking store, made by hand."""

from pathlib import Path

from fake_results import save
from PIL import Image

VERDICTS = {
    "C03": "sign supported on photos, scaled net, 4 epochs, 2 seeds",
    "C04": "indicative: these nets, not the method",
    "C07": "inconclusive",
    "C09": "not measured",
    "C24": "supported",
    "C25": "contradicted",
}
COLOURS = {"C03": "supported", "C04": "indicative", "C24": "supported"}
HOSTILE = "<script>alert(1)</script> & <img src=x>"
ORIGIN = "- dataset: photos, digest `0123`\n- commit: `0123456789ab`\n"
LEDGER = f"""# Claims: some

Intervals are unadjusted.

## photos

**This is a rehearsal**: they do not compare.

| claim   | what   | measured |
|:--------|:-------|:---------|
| C03     | words of the markdown's ledger | 2.61 |

Holm over six tests.

{ORIGIN}"""
TABLE1 = f"""# Table 1: some

## photos

| Model             | paper top-1   | top-1 |
|:------------------|:--------------|:--------------------|
| Sparse coding [2] | 47.1 %        | 44.9 % [42.8, 46.9] |
| 1 CNN*            | {HOSTILE}     | ![x](http://example.org/x.png) [y](http://example.org) |

{ORIGIN}"""


def write_report_inputs(folder: Path) -> None:
    save(folder / "tables" / "claims.json", {"name": "some", "datasets": [{"dataset": "photos", "claims": claims()}]})
    for name, text in {"claims": LEDGER, "table1": TABLE1, "extra": "Words <b>alone</b>.\n\n- a note\n"}.items():
        (folder / "tables" / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "figures").mkdir()
    for k, name in enumerate(("figure1", "figure3")):
        Image.new("RGB", (60 + 2 * k, 40), (200, 30, 30)).save(folder / "figures" / f"{name}.png", dpi=(192, 192))
    described = [
        {"file": "figure1.png", "title": 'Figure 1: "ReLU" & tanh', "caption": HOSTILE},
        {"file": "figure3.png", "title": "Figure 3", "caption": "Kernels of conv1."},
    ]
    save(folder / "figures" / "figures.json", described)
    save(
        folder / "tracking.json",
        {"uri": "sqlite:////results/mlflow.db", "experiment_id": "7", "parent_run_id": "p", "name": "some"},
    )


def claims() -> list[dict]:
    return [
        {
            "id": name,
            "text": f"what {name} says",
            "reading": "",
            "section": "§3.1",
            "paper": "6x",
            "measured": "2.61 [2.17, 3.06] points",
            "verdict": verdict,
            "colour": COLOURS.get(name, verdict),
            "note": "a difference of 1.5 points would have been found" if name == "C07" else "",
            "conditions": HOSTILE if name == "C07" else "photos; `test`",
            "interval": [2.17, 3.06],
            "family": "seeds" if name == "C03" else "",
            "numbers": {},
            "p": 0.00123 if name == "C03" else None,
            "p_holm": 0.00007 if name == "C03" else None,
            "p_equivalence": None,
        }
        for name, verdict in VERDICTS.items()
    ]
