"""One of the net's two towers, held by one process (figure 2), and splitting and uniting of weights."""

import torch
from torch import Tensor, nn

from alexnet2012.config.nets import SIXTH, NetConfig
from alexnet2012.model.alexnet import AlexNet, make_layer
from alexnet2012.model.geometry import sees_own_tower
from alexnet2012.towers.exchange import TOWERS, Peers, gather_logits, halves, share

Weights = dict[str, Tensor]
# fig. 2: the layers that are connected to both towers; in net 150 of the 2012 code, conv3 is not.
SEE_BOTH = ("conv3", SIXTH, "fc6", "fc7", "fc8")


class Tower(AlexNet):
    """Half of an AlexNet: the maps of one tower, and half of the neurons of each fully connected layer.

    Both processes call it with the same images and dropout masks, and both get the logits of all classes.
    """

    def __init__(self, net: NetConfig, classes: int, peers: Peers) -> None:
        super().__init__(net, classes)
        self.peers = peers
        self.class_counts = halves(classes)

        def share_input(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            return (share(inputs[0], peers),)

        for name, layer in self.layers.items():
            if not layer.fan_in:
                continue
            own = make_layer(net, layer, outputs=halves(layer.output[0])[peers.rank], groups=1)
            if name in SEE_BOTH and not sees_own_tower(net, name):
                own.register_forward_pre_hook(share_input)
            setattr(self, name, own)
        self.config = net.model_copy(update={"towers": 1})  # response normalisation is over this tower's maps

    def forward(self, images: Tensor, dropout_masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Logits (images, classes); `dropout_masks`: those of all neurons, see AlexNet.forward."""
        if dropout_masks is not None:
            fc6, fc7 = (mask.chunk(TOWERS, 1)[self.peers.rank] for mask in dropout_masks)
            dropout_masks = (fc6, fc7)
        return gather_logits(super().forward(images, dropout_masks), self.peers, self.class_counts)


def split(weights: Weights, rank: int) -> Weights:
    """The half of a whole net's weights (or velocities) that process `rank` holds: half of each layer's outputs."""
    return {name: torch.split(each, list(halves(len(each))))[rank].contiguous() for name, each in weights.items()}


def unite(own: Weights, sizes: dict[str, int], peers: Peers) -> Weights:
    """Weights (or velocities) of the whole net from both processes' halves; `sizes`: outputs of each layer, by name of
    the parameter."""
    return {name: peers.gather(each, halves(sizes[name]), 0) for name, each in own.items()}
