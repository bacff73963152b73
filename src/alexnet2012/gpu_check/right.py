"""Parts that compare a GPU with the CPU: the same numbers, the same bits, and the workflow on real cards."""

import copy
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from alexnet2012.config.schema import RunConfig
from alexnet2012.data.augment import draw_views, torch_generator
from alexnet2012.data.packed import open_packed
from alexnet2012.evaluation.predict import predict_ten_crops
from alexnet2012.gpu_check.part import (
    CheckPart,
    Figures,
    Target,
    begin_training,
    draw_masks_for,
    first_batch,
    make_settings,
    write_images,
    write_packed,
)
from alexnet2012.gpus import VISIBLE, lease_gpus, list_cards
from alexnet2012.model import lrn
from alexnet2012.model.layered import initialise, make_net
from alexnet2012.project import PROJECT
from alexnet2012.training.checkpoint import StopRequest, lock, resume
from alexnet2012.training.loader import BatchLoader
from alexnet2012.training.loop import Training, train_to_the_end

CPU = torch.device("cpu")
TAKEN_OVER_S = 20.0  # within which a waiting process has the card that was released
# A process that leases a card: it says when it asks, and when it has one.
LEASING = """
from alexnet2012.gpus import lease_gpus
print("asking", flush=True)
with lease_gpus("gpu-check, second process"):
    print("leased", flush=True)
"""


def distance(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference, relative to that of `expected`."""
    found, expected = found.double().cpu(), expected.double().cpu()
    return float((found - expected).norm() / expected.norm())


def count_differing(found: dict[str, Tensor], expected: dict[str, Tensor]) -> int:
    """How many values are not the same."""
    return sum(int((found[name].cpu() != each.cpu()).sum()) for name, each in expected.items())


def run_net(
    net: nn.Module, images: Tensor, labels: Tensor, masks: tuple[Tensor, Tensor], device: torch.device, dtype: Any
) -> dict[str, Tensor]:
    """Logits, and the gradient of each weight, of a copy of `net` in training mode."""
    own = copy.deepcopy(net).to(device, dtype).train()
    fc6, fc7 = (mask.to(device, dtype) for mask in masks)
    logits = own(images.to(device, dtype), (fc6, fc7))
    functional.cross_entropy(logits, labels.to(device)).backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in own.named_parameters() if each.grad is not None}
    return {"logits": logits.detach(), **gradients}


def compare_outputs(target: Target) -> Figures:
    """Logits and gradients of the paper's net, as distances from the CPU's in float64."""
    run, classes = make_settings(target)
    net, device, count = make_net(run.architecture, classes), target.open(), target.pick(8, 4)
    initialise(net, torch_generator(run.seed, "init"))
    random = torch.Generator().manual_seed(0)
    images = 70 * torch.randn(count, 3, run.architecture.crop_px, run.architecture.crop_px, generator=random)
    given = (images, torch.arange(count) % classes, draw_masks_for(run, count))
    expected = run_net(net, *given, CPU, torch.float64)
    figures: Figures = {}
    for key, place, dtype in (
        ("float64", device, torch.float64),
        ("float32", device, torch.float32),
        ("cpu_float32", CPU, torch.float32),
    ):
        found = run_net(net, *given, place, dtype)
        distances = {name: distance(found[name], each) for name, each in expected.items()}
        figures[f"{key}_logits"] = distances.pop("logits")
        figures[f"{key}_gradients"] = max(distances.values())
    return figures


def compare_lrn(target: Target) -> Figures:
    """Response normalisation by tensor operations on the device, and by the CPU's compiled loops; both directions."""
    device, figures = target.open(), {}
    for dtype in (torch.float64, torch.float32):
        random = torch.Generator().manual_seed(0)
        rows = 30 * torch.randn(target.pick(50_000, 500), 48, generator=random, dtype=dtype)
        gradient, found = torch.randn(rows.shape, generator=random, dtype=dtype), []
        for norm, place in ((lrn._TensorNorm, device), (lrn._LoopNorm, CPU)):
            own = rows.to(place).requires_grad_()
            output = norm.apply(own, 5, 2.0, 1e-4, 0.75, True)
            output.backward(gradient.to(place))
            assert own.grad is not None
            found.append((output.detach(), own.grad))
        name = str(dtype).removeprefix("torch.")
        figures[f"{name}_forward"], figures[f"{name}_backward"] = (distance(*pair) for pair in zip(*found, strict=True))
    return figures


def compare_feed(target: Target) -> Figures:
    """Batches made ahead for the device, beside those that the CPU makes in line: images, labels, dropout masks."""
    device, (run, _) = target.open(), make_settings(target, batch_size=target.pick(16, 8))
    dataset = write_images(target)
    ahead, in_line = BatchLoader(run, dataset, device), BatchLoader(run, dataset, CPU)
    ahead.makes_ahead = True
    order, crop_px = np.random.default_rng(0).permutation(dataset.counts["train"]), run.architecture.crop_px
    views = draw_views(run.seed, 0, dataset, len(order), crop_px, run.training.augmentation)
    figures = {"batches": 0, "differing_pixels": 0, "differing_labels": 0, "differing_masks": 0}
    pairs = zip(ahead.batches(order, views, 0, 0), in_line.batches(order, views, 0, 0), strict=True)
    for found, expected in pairs:
        assert found.masks and expected.masks
        figures["batches"] += 1
        figures["differing_pixels"] += int((found.images.cpu() != expected.images).sum())
        figures["differing_labels"] += int((found.labels.cpu() != expected.labels).sum())
        masks = torch.cat(found.masks).cpu() != torch.cat(expected.masks)
        figures["differing_masks"] += int(masks.sum())
    return figures


def repeat_steps(target: Target) -> Figures:
    """Three deterministic steps of the paper's net, twice: weights that differ."""
    found = []
    for _ in range(2):
        training = begin_training(target, deterministic=True, learning_rate=0.01)
        batch = first_batch(training)
        for _ in range(3):
            training.update(batch)
        found.append({name: each.detach().cpu() for name, each in training.net.named_parameters()})
    return {"weights": sum(each.numel() for each in found[0].values()), "differing_weights": count_differing(*found)}


def run_together(calls: list[tuple[Callable[..., None], tuple[Any, ...]]], expected: int = 0) -> None:
    """Make each call in a process of its own, all at the same time; raises RuntimeError unless all end as expected."""
    processes = [get_context("spawn").Process(target=function, args=arguments) for function, arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    if set(codes) != {expected}:
        raise RuntimeError(f"processes ended with {codes} instead of {expected}; see log.txt")


def train_to_file(target: Target, values: dict[str, Any], data: Path, folder: Path, kill_at: int | None = None) -> None:
    """Train or resume the net of `values` (a RunConfig) and write `folder`/weights.safetensors and history.json; at
    step `kill_at`, kill this process by signal 9."""
    run, state_folder = RunConfig.model_validate(values), folder / "state"
    state_folder.mkdir(parents=True, exist_ok=True)
    dataset, identity = open_packed(data), {"code": "", "config": run.hash8, "data": ""}
    device = target.open(deterministic=True)

    def on_step(training: Training) -> None:
        if training.state.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with lock(state_folder), StopRequest() as stop:
        state = resume(state_folder, identity, ())
        (folder / "began.json").write_text(json.dumps(state.step if state else 0), encoding="utf-8")
        training = Training(run, dataset, identity, device, state)
        train_to_the_end(training, state_folder, stop, on_step)
    save_file({name: each.cpu().contiguous() for name, each in training.net.state_dict().items()}, weights_in(folder))
    losses = [[row["train_loss"], row["val_loss"]] for row in training.state.history]
    (folder / "history.json").write_text(json.dumps(losses), encoding="utf-8")


def weights_in(folder: Path) -> Path:
    return folder / "weights.safetensors"


def interrupt_training(target: Target) -> Figures:
    """A training of the rehearsal's net, alone; killed by signal 9 and resumed; and twice at the same time on one card:
    what differs from the first."""
    schedule = {"kind": "fixed", "epochs": [2]}
    run, classes = make_settings(target, scaled=True, deterministic=True, learning_rate=0.01, schedule=schedule)
    runtime = {**run.model_dump()["runtime"], "checkpoint_every_s": 0.001}
    values, data = run.model_dump() | {"runtime": runtime}, target.scratch / "small"
    steps = 8
    train_images = steps * run.training.batch_size
    write_packed(data, run.dataset.size_px, classes, {"train": train_images, "val": 64})
    folders = {name: target.scratch / name for name in ("alone", "killed", "first", "second")}
    train_to_file(target, values, data, folders["alone"])
    run_together([(train_to_file, (target, values, data, folders["killed"], steps + 3))], expected=-signal.SIGKILL)
    train_to_file(target, values, data, folders["killed"])
    run_together([(train_to_file, (target, values, data, folders[name])) for name in ("first", "second")])
    expected, history = load_file(weights_in(folders["alone"])), (folders["alone"] / "history.json").read_bytes()
    figures: Figures = {"killed_at_step": steps + 3}
    figures["resumed_at_step"] = json.loads((folders["killed"] / "began.json").read_text(encoding="utf-8"))
    for name in ("killed", "first", "second"):
        figures[f"{name}_differing_weights"] = count_differing(load_file(weights_in(folders[name])), expected)
        figures[f"{name}_differing_history"] = int((folders[name] / "history.json").read_bytes() != history)
    figures["not_resumed"] = int(figures["resumed_at_step"] == 0)
    return figures


def compare_evaluation(target: Target) -> Figures:
    """Ten-crop probabilities of the paper's net on the device and on the CPU: the largest difference."""
    run, classes = make_settings(target)
    dataset, device = write_images(target), target.open()
    net = make_net(run.architecture, classes)
    initialise(net, torch_generator(run.seed, "init"))
    with torch.no_grad():  # otherwise all classes would be about equally probable
        net.fc8.weight.mul_(10.0)  # type: ignore[union-attr, operator]
    crop_px, found = run.architecture.crop_px, []
    for place in (device, CPU):
        found.append(predict_ten_crops(net.to(place), dataset, "val", crop_px, batch=target.pick(24, 4)))
    difference = max(
        float(np.abs(getattr(found[0], name) - getattr(found[1], name)).max()) for name in ("ten_crop", "centre")
    )
    ranks = sum(int((found[0].ranks[name] != each).sum()) for name, each in found[1].ranks.items())
    highest = float(found[1].ten_crop.max())
    return {"largest_difference": difference, "differing_ranks": ranks, "highest_probability": highest}


def check_leases(target: Target) -> Figures:
    """Leases of the cards that the real nvidia-smi lists: a second process waits for the same card, then gets it."""
    os.environ["ALEXNET2012_LEASES"] = str(target.scratch / "leases")
    os.environ.pop("SLURM_JOB_ID", None)  # under which nothing is leased
    cards = list_cards()
    with lease_gpus("gpu-check", "auto") as count:
        figures: Figures = {"cards": len(cards), "not_leased": int(count != 1), "visible": os.environ.get(VISIBLE, "")}
        seen = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
        output = subprocess.run(seen, capture_output=True, encoding="utf-8", check=True).stdout
        figures["more_or_fewer_seen_by_torch"] = abs(int(output) - (target.device == "cuda"))
        second = subprocess.Popen([sys.executable, "-c", LEASING], stdout=subprocess.PIPE, encoding="utf-8")
        assert second.stdout is not None
        second.stdout.readline()
        time.sleep(1.0)
        figures["leased_twice"] = int(second.poll() is not None)
    began = time.monotonic()
    answer = second.communicate(timeout=TAKEN_OVER_S)[0]
    return figures | {"taken_over_after_s": time.monotonic() - began, "not_taken_over": int("leased" not in answer)}


def hold_tower(rank: int, port: int, target: Target) -> None:
    """One process of two: compare the net as two towers with the whole one, and write the distances."""
    from alexnet2012.towers.exchange import Peers
    from alexnet2012.towers.tower import Tower, split, unite

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    run, classes = make_settings(target, scaled=True)
    device = target.open()
    if device.type == "cuda":
        torch.cuda.set_device(rank)
        device = torch.device("cuda", rank)
    peers = Peers(device)
    whole, tower = make_net(run.architecture, classes), Tower(run.architecture, classes, peers)  # type: ignore[arg-type]
    initialise(whole, torch_generator(run.seed, "init"))
    tower.load_state_dict(split(whole.state_dict(), rank))
    random, crop_px = torch.Generator().manual_seed(0), run.architecture.crop_px
    images, labels = 70 * torch.randn(8, 3, crop_px, crop_px, generator=random), torch.arange(8) % classes
    given = images, labels, draw_masks_for(run, 8)
    expected = run_net(whole, *given, device, torch.float32)
    found = run_net(tower, *given, device, torch.float32)
    logits = found.pop("logits")
    united = unite(found, {name: len(each) for name, each in whole.named_parameters()}, peers)
    distances = {name: distance(each, expected[name]) for name, each in {**united, "logits": logits}.items()}
    if peers.leads:
        (target.scratch / "towers.json").write_text(json.dumps(distances), encoding="utf-8")
    peers.leave()


def compare_placements(target: Target) -> Figures:
    """One net in two processes as in the paper: logits and gradients beside those of the whole net. By NCCL on two
    cards; with fewer, by gloo on the CPU."""
    on_cards = target.device == "cuda" and torch.cuda.device_count() > 1
    place = target if on_cards else replace(target, device="cpu")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run_together([(hold_tower, (rank, port, place)) for rank in range(2)])
    found = json.loads((target.scratch / "towers.json").read_text(encoding="utf-8"))
    backend = "nccl" if on_cards else "gloo"
    return {"backend": backend, "logits": found.pop("logits"), "gradients": max(found.values())}


def run_workflow(target: Target) -> Figures:
    """`train`, `predict`, `average` and `analyse` of two small nets by Snakemake, on the device."""
    import yaml
    from PIL import Image

    random, folder = np.random.default_rng(0), target.scratch / "workflow"
    for k in range(7):
        (folder / "pictures" / f"class{k}").mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 100, (16, 16, 3), dtype=np.uint8) + np.uint8(20 * k)
            Image.fromarray(pixels).save(folder / "pictures" / f"class{k}" / f"{number:02d}.png")
    small = Target(target.device, True, target.out, target.scratch)
    run, _ = make_settings(small, schedule={"kind": "fixed", "epochs": [2]}, torch_threads=1)
    values = {key: run.model_dump()[key] for key in ("name", "net", "training")}
    values["datasets"] = {"pictures": {"kind": "imagefolder", "folder": str(folder / "pictures"), "size_px": 16}}
    values["ensembles"] = {"two": {"section": "6", "claims": [], "members": [{"variant": "cnn", "seeds": [0, 1]}]}}
    values["experiments"] = [
        {"dataset": "pictures", "variant": "cnn", "seeds": [0, 1], "tables": ["table2"]},
        {"dataset": "pictures", "ensemble": "two", "tables": ["table2"]},
    ]
    values["runtime"] = {"device": target.device}
    (folder / "check.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--cores", "all"]
    command += ["--configfile", "check.yaml", "--until", "average", "analyse"]
    command += ["--resources", "gpu=1"] if target.device == "cuda" else []
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    results = folder / "results" / run.name
    records = [json.loads(each.read_text(encoding="utf-8")) for each in results.glob("runs/*/*/*/record.json")]
    made = {name: len(list(results.glob(f"{name}/**/*.json"))) for name in ("predictions", "analyses")}
    elsewhere = sum(record["device"] != target.device for record in records)
    return {"trained": len(records), **made, "trained_elsewhere": elsewhere, "missing": int(not all(made.values()))}


NOTHING = dict.fromkeys(("differing_pixels", "differing_labels", "differing_masks"), 0.0)
INTERRUPTED = {
    f"{name}_differing_{what}": 0.0 for name in ("killed", "first", "second") for what in ("weights", "history")
}
# At full size on a CPU, float32 logits differ by 5e-7, and gradients by 2e-6 or, where rounding moves a maximum or a
# ReLU, by 4e-3. So logits would show TF32, and float64 a wrong formula.
OUTPUTS = {"float64_logits": 1e-10, "float64_gradients": 1e-9, "float32_logits": 2e-5, "float32_gradients": 2e-2}
RIGHT = (
    CheckPart("outputs", compare_outputs, 40, limits=OUTPUTS),
    CheckPart(
        "response-normalisation",
        compare_lrn,
        20,
        ("numba",),
        {"float64_forward": 1e-12, "float64_backward": 1e-12, "float32_forward": 5e-6, "float32_backward": 5e-6},
    ),
    CheckPart("feed", compare_feed, 20, limits=NOTHING),
    CheckPart("repeated-steps", repeat_steps, 30, limits={"differing_weights": 0}),
    CheckPart("interrupted-training", interrupt_training, 60, limits={**INTERRUPTED, "not_resumed": 0}),
    CheckPart("evaluation", compare_evaluation, 30, limits={"largest_difference": 1e-5}),
    CheckPart(
        "leases",
        check_leases,
        30,
        ("nvidia-smi",),
        {"not_leased": 0, "more_or_fewer_seen_by_torch": 0, "leased_twice": 0, "not_taken_over": 0},
    ),
    CheckPart("towers", compare_placements, 40, limits={"logits": 1e-5, "gradients": 1e-4}),
    CheckPart(
        "workflow",
        run_workflow,
        120,
        ("snakemake", "mlflow", "pandas", "PIL", "yaml"),
        {"trained_elsewhere": 0, "missing": 0},
    ),
)
