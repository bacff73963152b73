"""Training on a GPU: both recipes and both nets end to end, beside torchvision's AlexNet in the usual loop.

Without a GPU the rows are there, and say that nothing was measured.
"""

from pathlib import Path
from typing import Any

import pytest
from contest import Contender
from judging import compare_speed, floor_of_flops, judge, rate
from our_steps import count_flops, make_run
from sizes import CORES, pick

from alexnet2012.config.nets import NetConfig
from alexnet2012.config.plan import load_variants

RECIPES = {
    "paper": {"recipe": "paper"},
    "fast": {"recipe": "fast", "precision": "bf16", "compile": True},
}
DTYPES = {"paper": "float32", "fast": "bfloat16"}
BATCH, CROP_PX = pick(128, 8), 224
GOALS = {"paper": None, "fast": 16_000.0}  # images/s on one H100
STEPS = pick(500, 2)
RIVALS = ("torchvision's AlexNet, ImageFolder + DataLoader", "torchvision's AlexNet, its batch on the GPU")
VARIANTS = Path(__file__).parents[2] / "config" / "variants.yaml"


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def make_gpu_run(variant: str, recipe: str) -> dict[str, Any]:
    net = load_variants(VARIANTS).variants[variant].net
    training = {"batch_size": BATCH, "torch_threads": CORES, **RECIPES[recipe]}
    return make_run(256, net, training, device="cuda") | {"variant": variant}


def report_nothing(hold, record, subject: str, goal: float | None) -> None:
    hold(lambda: None, rounds=1)
    beside_rivals = [judge("our net", rival, "times as fast", [], None, "at least") for rival in RIVALS]
    comparisons = [judge("our net", "the goal", "images/s", [], goal, "at least"), *beside_rivals]
    record(subject, "images", [], comparisons, note="no GPU was there")


@pytest.mark.benchmark(group="GPU")
@pytest.mark.parametrize("variant", ["cnn", "one-gpu"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_training_on_a_gpu(hold, compete, record, request, recipe, variant):
    subject = f"GPU training, {variant}, recipe {recipe}, batch {BATCH}"
    if not has_gpu():
        report_nothing(hold, record, subject, GOALS[recipe])
        return
    packed, photographs = (str(request.getfixturevalue(name)) for name in ("packed", "photographs"))
    run = make_gpu_run(variant, recipe)
    ours = Contender("our net", "contenders.gpu:make_ours", {"run": run, "folder": packed, "steps": STEPS})
    loop = {"crop_px": CROP_PX, "batch": BATCH}
    loaded, ready = (
        Contender(
            RIVALS[0], "contenders.gpu:make_loader_loop", {**loop, "folder": photographs, "workers": CORES}, "plain"
        ),
        Contender(RIVALS[1], "contenders.gpu:make_ready_loop", {**loop, "steps": pick(100, 2)}, "plain"),
    )
    rates = Contender("rates", "contenders.gpu:make_rates", {"dtype": DTYPES[recipe]})
    found, measured = compete([ours, loaded, ready], rates=rates)
    own, *rivals = found
    record(
        subject,
        "images",
        found,
        [rate(own, GOALS[recipe]), *(compare_speed(own, each, None) for each in rivals)],
        floor_of_flops(own, count_flops(NetConfig.model_validate(run["net"]), 20, own.units[0]), measured),
        note=f"{own.units[0]:,.0f} images a round from page cache; device events; rivals in torch's default precision",
    )
