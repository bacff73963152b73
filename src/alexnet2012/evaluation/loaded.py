"""Trained nets as Python objects, from the folders of their runs; `alexnet2012.load` makes them."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from alexnet2012.data.decode import IMAGE_FORMATS, ImageError, decode, fit_square
from alexnet2012.data.sources.folders import find_images
from alexnet2012.errors import ConfigError, DataError, RecordError
from alexnet2012.evaluation.crops import centre_crop, cut, place_mean, predict_crops, ten_crops
from alexnet2012.evaluation.trained import PLACE, find_net, open_weights, read_inputs, read_net
from alexnet2012.files import INPUTS
from alexnet2012.model.alexnet import AlexNet
from alexnet2012.model.layered import LayeredNet

Crops = Literal["ten", "centre"]
Picture = str | Path | Image.Image | np.ndarray  # a path, a PIL image, or uint8 (height, width, 3) in RGB
Pictures = Picture | Iterable[Picture]
ACCEPTED = "give a path, a folder, a PIL image, an array uint8 (height, width, 3), or a list of these"


class LoadedNet(nn.Module):
    """A trained net with everything that it needs to classify images.

    `classes`: their names, in the order of the outputs. `model`: the net itself, e.g. model.conv1.weight. `run`: its
    settings; `record`: its record.json. `size_px`: side of the square image from which crops are taken. Raises
    RecordError, DataError or ConfigError if `folder` does not hold a complete trained net.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = find_net(folder.expanduser())
        self.run, self.record = open_weights(self.folder)
        self.size_px, self.crop_px = self.run.dataset.size_px, self.run.architecture.crop_px
        self.mean_image, self.classes = read_inputs(self.folder)
        if self.mean_image.shape != (self.size_px, self.size_px, 3):
            raise DataError(
                f"{self.folder / INPUTS} has a mean image of {self.mean_image.shape}, but config.yaml beside it says "
                f"images of {self.size_px} pixels; copy both from one run"
            )
        self.model: AlexNet | LayeredNet = read_net(self.folder, self.run, len(self.classes))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (images, classes) for the output of `preprocess`; their softmax is the probabilities."""
        logits: Tensor = self.model(images)
        return logits

    def preprocess(self, images: Pictures) -> Tensor:
        """The net's input for one image or several: float32 (images, 3, crop_px, crop_px), on the net's device.

        The shorter side is resized to size_px, the centre cropped (§2), the mean image subtracted. An image is a path,
        a PIL image, or an array uint8 (height, width, 3) in RGB; a folder stands for the images in it. Raises DataError
        with all images that cannot be read.
        """
        _, pixels = read_pictures(images, self.size_px)
        crop = centre_crop(self.size_px, self.crop_px)
        mean = place_mean(self.mean_image, crop, self.crop_px, self.run.architecture.mean_crop)
        return cut(pixels, mean, crop, self.crop_px).to(next(self.model.parameters()).device)

    def predict(self, images: Pictures, crops: Crops = "ten") -> pd.DataFrame:
        """Probabilities, float32, a row for each image and a column for each class, computed as in the workflow.

        `images` as in `preprocess`; rows are named by path, or numbered. `crops`: "ten" for the mean of the softmax
        outputs over ten crops (§4.1), "centre" for the central crop alone. Raises DataError as `preprocess` does.
        """
        check_crops(crops)
        names, pixels = read_pictures(images, self.size_px)
        views = ten_crops(self.size_px, self.crop_px)
        if crops == "centre":
            views = (centre_crop(self.size_px, self.crop_px),)
        batch, mean_crop = self.run.runtime.evaluation_batch, self.run.architecture.mean_crop
        parts = predict_crops(
            self.model, pixels, np.arange(len(pixels)), self.mean_image, views, self.crop_px, batch, mean_crop
        )
        means = torch.cat([probabilities.double().mean(dim=0).float() for _, probabilities in parts])
        return pd.DataFrame(means.numpy(), names, self.classes)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of all layers for `images`, the output of `preprocess`, by the layer's name and in order.

        conv1 to conv5: (images, channels, height, width), after ReLU and response normalisation; pool1, pool2, pool5:
        the same, pooled; fc6 and fc7: (images, neurons), after ReLU and the halving of §4.2; fc8: the logits (images,
        classes). `alexnet2012 describe VARIANT` prints the sizes. For the author's CIFAR-10 nets, which are lists of
        layers: the outputs of layers with weights before their activation, and of poolings as the input of the next
        layer; a pooling directly before another one is left out.
        """
        inputs: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}

        def see(name: str) -> None:
            module = self.model.get_submodule(name)
            # Copies, because ReLUs work in place.
            hooks.append(module.register_forward_pre_hook(lambda _, given: inputs.update({name: given[0].clone()})))
            hooks.append(module.register_forward_hook(lambda _, __, made: outputs.update({name: made.clone()})))

        hooks: list[torch.utils.hooks.RemovableHandle] = []
        layers = list(self.model.layers.values())
        try:
            for layer in layers:
                if layer.fan_in:
                    see(layer.name)
            with torch.no_grad():
                self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        found: dict[str, Tensor] = {}
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            if layer.kind == "pool":
                if following is not None and following.fan_in:
                    found[layer.name] = inputs[following.name].view(len(images), *layer.output)
            elif layer.name in outputs:
                found[layer.name] = outputs[layer.name]
                if isinstance(self.model, AlexNet) and layer.kind == "conv":
                    found[layer.name] = self.model._activate(layer.name, outputs[layer.name])
                elif isinstance(self.model, AlexNet) and following is not None:  # fc6 and fc7
                    found[layer.name] = inputs[following.name]
        return found


class LoadedEnsemble(nn.Module):
    """Several trained nets with the same classes, whose probabilities are averaged (table 2).

    `classes`: their names. `members`: the nets. Raises RecordError if there are none, or their classes differ.
    """

    def __init__(self, folders: list[Path]) -> None:
        super().__init__()
        if not folders:
            raise RecordError(f"an ensemble needs at least one net; give a list of folders such as {PLACE}")
        self.members = nn.ModuleList(LoadedNet(folder) for folder in folders)
        self.classes: list[str] = self.nets[0].classes
        for net in self.nets:
            if net.classes != self.classes:
                raise RecordError(
                    f"{net.folder} has other classes than {self.nets[0].folder}; average nets of one dataset"
                )

    @property
    def nets(self) -> list[LoadedNet]:
        return [each for each in self.members if isinstance(each, LoadedNet)]

    def predict(self, images: Pictures, crops: Crops = "ten") -> pd.DataFrame:
        """The mean of the members' probabilities; otherwise as LoadedNet.predict."""
        images = list(split_pictures(images))
        tables = [net.predict(images, crops) for net in self.nets]
        mean = np.mean([table.to_numpy() for table in tables], axis=0, dtype=np.float64).astype(np.float32)
        return pd.DataFrame(mean, tables[0].index, self.classes)


def check_crops(crops: str) -> None:
    if crops not in ("ten", "centre"):
        raise ConfigError(f'crops are "ten" or "centre", not {crops!r}')


def read_pictures(images: Pictures, size_px: int) -> tuple[list[str | int], np.ndarray]:
    """The names of images (paths or numbers), and their central squares, uint8 (n, size_px, size_px, 3) in RGB.

    Raises DataError if there are none, and with all images that cannot be read.
    """
    given = list(split_pictures(images))
    squares, unreadable = np.empty((len(given), size_px, size_px, 3), dtype=np.uint8), []
    names = [str(each) if isinstance(each, str | Path) else number for number, each in enumerate(given)]
    for row, (name, image) in enumerate(zip(names, given, strict=True)):
        try:
            squares[row] = make_square(image, size_px)
        except (ImageError, OSError) as error:
            unreadable.append(f"  - {name}: {error.strerror if isinstance(error, OSError) else error}")
    if unreadable:
        raise DataError("\n".join([f"{len(unreadable)} of {len(given)} images cannot be read:", *unreadable]))
    if not given:
        raise DataError(f"there are no images; {ACCEPTED}")
    return names, squares


def split_pictures(images: Pictures) -> Iterable[Picture]:
    """The single images, those of a folder in the order of their paths; raises DataError for an empty folder."""
    if isinstance(images, str | Path):
        return list_pictures(Path(images).expanduser())
    if isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    if isinstance(images, Tensor) or not isinstance(images, Iterable):
        raise DataError(f"a {type(images).__name__} is no image; {ACCEPTED}")
    return chain.from_iterable(split_pictures(each) for each in images)


def list_pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = find_images(path)
    if not found:
        raise DataError(f"the folder {path} holds no images ({', '.join(IMAGE_FORMATS)})")
    return found


def make_square(image: Picture, size_px: int) -> np.ndarray:
    """The central square of an image, uint8 (size_px, size_px, 3); raises ImageError or OSError."""
    if isinstance(image, Path):
        return decode(image.read_bytes(), image.name, size_px).pixels
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ImageError(f"an array {image.dtype} {image.shape}; expected uint8 (height, width, 3)")
        image = Image.fromarray(image)
    assert isinstance(image, Image.Image), "split_pictures"
    if image.mode.startswith(("I", "F")):
        raise ImageError(f'its pixels have more than 8 bits (mode "{image.mode}"); convert it to RGB')
    return np.asarray(fit_square(image.convert("RGB"), size_px))
