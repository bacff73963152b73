"""A trained net as a model that MLflow can serve: from images to classes and probabilities."""

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel
from PIL import Image

from alexnet2012.errors import DataError
from alexnet2012.evaluation.loaded import LoadedNet

INPUT = "image"


class ServedNet(PythonModel):
    """A net stored in the model's artifacts or, if it is large, in the folder named by the model's configuration."""

    def load_context(self, context: Any) -> None:
        """Load the net; raises RecordError if its folder no longer exists."""
        weights = context.artifacts.get("model.safetensors")
        self.net = LoadedNet(Path(weights).parent if weights else Path(context.model_config["folder"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row for each image with columns `class`, its `probability`, and the `probabilities` of all classes.

        `model_input`: a column "image" with image files in base64, or arrays (height, width, 3) with values 0 to 255.
        Probabilities are means over ten crops. Raises DataError if a value is not an image.
        """
        if INPUT not in model_input:
            raise DataError(f'the column "{INPUT}" is missing; there are {", ".join(map(str, model_input.columns))}')
        found = self.net.predict([read_image(each) for each in model_input[INPUT]])
        return pd.DataFrame(
            {
                "class": found.idxmax(axis=1).to_numpy(),
                "probability": found.max(axis=1).astype(float).to_numpy(),
                "probabilities": [{str(key): float(p) for key, p in row.items()} for row in found.to_dict("records")],
            }
        )


def read_image(given: Any) -> np.ndarray | Image.Image:
    """An image from a file's bytes (raw or in base64), an array or nested lists. Raises DataError for anything else."""
    if isinstance(given, str | bytes):
        try:
            image = Image.open(io.BytesIO(base64.b64decode(given, validate=True) if isinstance(given, str) else given))
            image.load()
        except (binascii.Error, ValueError, OSError) as error:
            raise DataError(f"{str(given)[:40]}... is no image file in base64: {error}") from None
        return image
    array = np.asarray(given.tolist() if isinstance(given, np.ndarray) else given)
    if array.ndim != 3 or array.shape[2] != 3 or array.min() < 0 or array.max() > 255:
        raise DataError(f"an array {array.shape}; expected (height, width, 3) of values from 0 to 255")
    return array.astype(np.uint8)
