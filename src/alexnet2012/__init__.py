"""A reproduction of "ImageNet Classification with Deep Convolutional Neural Networks" (NIPS 2012)."""

from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from alexnet2012.evaluation.loaded import LoadedEnsemble, LoadedNet


@overload
def load(path: str | Path) -> "LoadedNet": ...
@overload
def load(path: list[str] | list[Path] | list[str | Path]) -> "LoadedEnsemble": ...
def load(path: str | Path | list[str] | list[Path] | list[str | Path]) -> "LoadedNet | LoadedEnsemble":
    """A trained net from its folder, or the ensemble of the nets in several folders; on the CPU, in evaluation mode.

    `path`: a folder such as results/cifar10/runs/cifar10/cnn-7f484866/seed0, a copy of it, or the model.safetensors in
    it. A list of them makes an ensemble. Raises errors.AlexNet2012Error if there is no complete trained net.
    """
    from alexnet2012.evaluation.loaded import LoadedEnsemble, LoadedNet  # torch takes seconds to import

    return LoadedNet(Path(path)) if isinstance(path, str | Path) else LoadedEnsemble([Path(each) for each in path])
