"""Run by torchrun in two processes: nets and trainings on one device and as two towers, and by how much they differ.

Process 0 writes what it found to the JSON file of its first argument. Both processes compute the whole net too, so that
nothing but the placement differs.
"""

import json
import sys
from pathlib import Path

import torch
from tiny_training import make_run, pack
from torch.nn import functional

from alexnet2012.config.nets import NetConfig
from alexnet2012.data.packed import open_packed
from alexnet2012.model.layered import make_net
from alexnet2012.towers.exchange import Peers
from alexnet2012.towers.tower import Tower, split, unite
from alexnet2012.towers.training import TowerTraining
from alexnet2012.training.loop import Training

SMALL = {"kernels": 8, "kernel_px": 3, "pad": 1}
SCALED = {"crop_px": 28, "conv1": {"kernels": 16, "kernel_px": 5}, "conv2": {"kernels": 12, "kernel_px": 5, "pad": 2}}
SCALED |= {name: SMALL for name in ("conv3", "conv4", "conv5")} | {"fc_neurons": 24}
# Folded into its channels, and hanging over the edge, as the paper's first layer.
STRIDED = {**SCALED, "crop_px": 64, "conv1": {"kernels": 16, "kernel_px": 11, "stride": 4}}
NETS = {
    "scaled": (SCALED, 10),
    "strided": (STRIDED, 7),
    "no-lrn": ({**SCALED, "lrn": None}, 10),
    "no-conv2": ({**SCALED, "removed": ["conv2"]}, 10),
    "no-conv3": ({**SCALED, "removed": ["conv3"]}, 10),
    "no-dropout": ({**SCALED, "dropout": 0.0}, 10),
    "tanh": ({**SCALED, "activation": "tanh"}, 10),
    "sixth-layer": ({**SCALED, "sixth_layer": True}, 10),
    "towers apart": ({**SCALED, "separate_towers": True}, 10),  # net 150 of the 2012 code
    "net145": ({**SCALED, "normalised_linear": ["conv1"], "map_norm": {}}, 10),
}
IMAGES, STEPS = 6, 10


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest one, relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def compare_net(peers: Peers, values: dict, classes: int) -> dict[str, float]:
    """Logits in training and in evaluation, and every gradient, those of the whole net against both towers' united."""
    net = NetConfig.model_validate(values)
    generator = torch.Generator().manual_seed(0)
    whole, tower = make_net(net, classes), Tower(net, classes, peers)
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    tower.load_state_dict(split(whole.state_dict(), peers.rank))
    images = 100 * torch.randn((IMAGES, 3, net.crop_px, net.crop_px), generator=generator)
    labels = torch.arange(IMAGES) % classes
    masks = tuple(torch.bernoulli(torch.full((IMAGES, net.fc_neurons), 0.5), generator=generator) for _ in range(2))
    found = {}
    for name, model in (("whole", whole), ("tower", tower)):
        logits = model(images, masks)
        functional.cross_entropy(logits, labels).backward()
        found[name] = {"logits": logits.detach()}
        with torch.inference_mode():
            found[name]["evaluated"] = model.eval()(images)
    sizes = {name: len(each) for name, each in whole.named_parameters()}
    united = unite({name: each.grad for name, each in tower.named_parameters()}, sizes, peers)
    gradients = {name: difference(united[name], each.grad) for name, each in whole.named_parameters()}
    return {key: difference(found["tower"][key], found["whole"][key]) for key in found["whole"]} | gradients


def compare_steps(peers: Peers, folder: Path) -> dict[str, float]:
    """The weights and the velocities after ten steps of a training, batches and dropout masks drawn by the run."""
    run, dataset = make_run(folder), open_packed(folder / "data" / "pictures")
    states = {}
    for name, make in (("whole", Training), ("tower", TowerTraining)):
        training = make(run, dataset, {}, torch.device("cpu"), None, *([peers] if make is TowerTraining else []))
        begun = 0

        def count() -> None:
            nonlocal begun
            begun += 1
            if begun == STEPS:
                raise StopIteration

        try:
            training.train_epoch(count)
        except StopIteration:
            states[name] = training.capture()
    if not peers.leads:
        return {}
    whole, tower = states["whole"], states["tower"]
    assert (whole.step, tower.step) == (STEPS, STEPS)
    found = {f"{name} after": difference(tower.weights[name], each) for name, each in whole.weights.items()}
    return found | {f"{name}'s v": difference(tower.velocity[name], each) for name, each in whole.velocity.items()}


def main(output: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    peers = Peers(torch.device("cpu"))
    if peers.leads:
        pack(folder)
    peers.tell(None)
    found = {name: compare_net(peers, *each) for name, each in NETS.items()}
    found["steps"] = compare_steps(peers, folder)
    if peers.leads:
        output.write_text(json.dumps(found), encoding="utf-8")
    peers.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
