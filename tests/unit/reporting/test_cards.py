"""The front matter of model cards, by which model hubs list a net."""

from pathlib import Path

import pytest
import yaml

from alexnet2012.files import read_json
from alexnet2012.reporting.cards import render_card, unevaluated

REFERENCE = Path(__file__).parents[3] / "results" / "reference"


@pytest.mark.parametrize(
    ("name", "licence"), [("cifar10", "bsd-3-clause"), ("photographs", "bsd-3-clause"), ("tiny-imagenet", "other")]
)
def test_a_card_names_the_licence_of_the_weights(name, licence):
    run_folder = sorted(REFERENCE.glob(f"{name}/runs/*/cnn-*/seed0"))[0]
    card = render_card(run_folder, unevaluated(run_folder, read_json(run_folder / "record.json"), Path("data")))
    _, front, text = card.split("---\n", 2)
    values = yaml.safe_load(front)
    assert (values["license"], values["library_name"]) == (licence, "alexnet2012")
    assert ("license_link" in values) == (licence == "other")
    assert "## Licence" in text and ("ImageNet, which" in text) == (licence == "other")
