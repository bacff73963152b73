"""Export of a trained net, from pixels to probabilities, as an ONNX file that is checked in onnxruntime."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.evaluation.loaded import LoadedNet
from alexnet2012.files import replacing
from alexnet2012.model.layered import LocallyConnected

OPSET = 20
TOLERANCE = 1e-5  # the largest allowed difference of a probability
CHECKED_BATCHES = (1, 7)  # numbers of images


class PixelsToProbabilities(nn.Module):
    """A module from central crops, float32 (images, 3, crop_px, crop_px), RGB in 0..255, to probabilities (images,
    classes): it subtracts the mean image, calls `net` and applies the softmax.
    """

    mean: Tensor

    def __init__(self, net: LoadedNet) -> None:
        super().__init__()
        self.model = net.model
        edge = (net.size_px - net.crop_px) // 2
        centre = net.mean_image[edge : edge + net.crop_px, edge : edge + net.crop_px]
        self.register_buffer("mean", torch.from_numpy(centre.transpose(2, 0, 1).copy()))

    def forward(self, images: Tensor) -> Tensor:
        return torch.softmax(self.model(images - self.mean), dim=1)


def export_onnx(run_folder: Path, path: Path) -> float:
    """Write the net in `run_folder` as the ONNX file `path`: input "images" and output "probabilities" of
    PixelsToProbabilities, for any number of images; classes and preprocessing are in the metadata.

    Returns the largest difference between onnxruntime's probabilities and the net's. Raises ConfigError if the extra
    `onnx` is not installed, `path` is a folder, or the net has locally connected layers; RecordError if the difference
    is above TOLERANCE, or `run_folder` holds no complete trained net.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed, which the export needs: pip install -e '.[onnx]'") from None
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name the file to be written, e.g. {path / 'net.onnx'}")
    net = LoadedNet(run_folder)
    if any(isinstance(module, LocallyConnected) for module in net.modules()):
        raise ConfigError(
            f"{run_folder} has locally connected layers, which are exported for one number of images only"
        )
    classifier = PixelsToProbabilities(net).eval()
    images = torch.export.Dim("images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own parts
        program = torch.onnx.export(
            classifier,
            (torch.zeros(2, 3, net.crop_px, net.crop_px),),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images": {0: images}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "dynamo"
    program.model.metadata_props.update(describe_file(net))
    with replacing(path) as temporary:
        program.save(temporary)
        difference = compare(temporary, classifier, net.crop_px)
        if not difference <= TOLERANCE:  # also refuses NaN
            raise RecordError(
                f"{path} was not written: onnxruntime's probabilities differ from the net's by {difference:.1g}, more "
                f"than {TOLERANCE:g}; compare versions with envs/extras.txt, or train the net again if it diverged"
            )
    return difference


def describe_file(net: LoadedNet) -> dict[str, str]:
    """The metadata of the file: the net's origin, its classes as JSON, and the preprocessing that images need."""
    preprocessing = (
        f"Resize the shorter side to {net.size_px} pixels, crop the central {net.crop_px} x {net.crop_px}; RGB, "
        "float32 in 0..255, channels first. The mean image is subtracted inside."
    )
    return {
        "classes": json.dumps(net.classes),
        "preprocessing": preprocessing,
        "size_px": str(net.size_px),
        "crop_px": str(net.crop_px),
        "opset": str(OPSET),
        "variant": net.run.variant,
        "seed": str(net.run.seed),
        "dataset": net.run.dataset_name,
        "weights_sha256": net.record["weights_sha256"],
    }


def compare(path: Path, classifier: nn.Module, crop_px: int) -> float:
    """The largest difference between the file's probabilities in onnxruntime and those of `classifier`, on noise."""
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    random, differences = np.random.default_rng(0), []
    for count in CHECKED_BATCHES:
        images = random.uniform(0, 255, (count, 3, crop_px, crop_px)).astype(np.float32)
        (found,) = session.run(["probabilities"], {"images": images})
        with torch.no_grad():
            differences.append(np.abs(found - classifier(torch.from_numpy(images)).numpy()).max())
    return float(np.max(differences))
