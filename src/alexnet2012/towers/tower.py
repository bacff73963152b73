"""A tower of the net as one process holds it (figure 2), and how whole weights become two halves and back."""

from torch import Tensor, nn

from alexnet2012.config.nets import SIXTH, NetConfig
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.convolution import Convolution
from alexnet2012.model.geometry import sees_own_tower
from alexnet2012.model.linear import Linear
from alexnet2012.towers.exchange import TOWERS, Peers, halves, join, share

Weights = dict[str, Tensor]
# "communicates only in certain layers": fc8's inputs are all of fc7. Without its connection conv3 has its own tower's.
SEE_BOTH = ("conv3", SIXTH, "fc6", "fc7", "fc8")


class Tower(AlexNet):
    """Half of an AlexNet: the maps of one tower, and half of the neurons of each fully connected layer.

    Called with the same images and the same dropout masks in both processes, it returns all logits in both.
    """

    def __init__(self, net: NetConfig, classes: int, peers: Peers) -> None:
        super().__init__(net, classes)
        self.peers = peers
        self.class_counts = halves(classes)
        for name, layer in self.layers.items():
            module = getattr(self, name, None)
            if isinstance(module, Convolution):
                own = take_half(module, peers.rank, seen=layer.fan_in // layer.kernel**2)
            elif isinstance(module, nn.Linear):
                own = Linear(module.in_features, halves(module.out_features)[peers.rank])
            else:
                continue
            if name in SEE_BOTH and not sees_own_tower(net, name):
                own.register_forward_pre_hook(lambda module, inputs: (share(inputs[0], peers),))
            setattr(self, name, own)
        self.config = net.model_copy(update={"towers": 1})  # response normalisation stays within this tower's maps

    def forward(self, images: Tensor, dropout_masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Logits of `images`, those of all classes; see AlexNet.forward."""
        return join(super().forward(images, dropout_masks), self.peers, self.class_counts)

    def _drop(self, neurons: Tensor, masks: tuple[Tensor, Tensor] | None, index: int) -> Tensor:
        """The masks are those of all neurons; this process has its half."""
        own = None if masks is None else tuple(mask.chunk(TOWERS, 1)[self.peers.rank] for mask in masks)
        return super()._drop(neurons, own, index)


def take_half(whole: Convolution, rank: int, seen: int) -> Convolution:
    """A convolution with half of the kernels, each of which still sees `seen` maps."""
    kernels = halves(whole.out_channels)[rank]
    stride, pad = whole.stride[0], whole.padding[0]
    return Convolution(seen, kernels, whole.kernel_size[0], stride, pad, 1, whole.overhang_px)


def split(weights: Weights, rank: int) -> Weights:
    """Of whole weights, or what is as large, those that process `rank` holds: kernels and neurons come in halves."""
    return {name: each.split(halves(len(each)), 0)[rank].contiguous() for name, each in weights.items()}


def unite(own: Weights, sizes: dict[str, int], peers: Peers) -> Weights:
    """The whole of both processes' halves, of which `sizes` says how many kernels or neurons there are."""
    return {name: peers.gather(each, halves(sizes[name]), 0) for name, each in own.items()}
