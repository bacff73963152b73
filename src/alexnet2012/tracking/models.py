"""Trained nets as MLflow's logged models, for `mlflow models serve`."""

import base64
import io
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from alexnet2012.files import NET_FILES, WEIGHTS, read_json
from alexnet2012.tracking.store import Store, insert

MODEL_TAG = "alexnet2012.model"  # tag of a run: the id of its model and the digest of the weights
MAX_WEIGHTS = 50 * 2**20  # bytes; for larger nets the store gets only the path of the folder
CODE = """\
from mlflow.models import set_model

from alexnet2012.evaluation.served import ServedNet

set_model(ServedNet())
"""


def keep_model(store: Store, run_id: str, name: str, tags: Mapping[str, str], folder: Path) -> str | None:
    """Log the net in `folder` as a model unless the store has it; returns the model's id, or None if files of the net
    are missing."""
    from mlflow.entities import LoggedModelOutput

    if not all((folder / each).exists() for each in NET_FILES):
        return None
    client, weights = store.client, read_json(folder / "record.json")["weights_sha256"][:16]
    model_id, _, logged = tags.get(MODEL_TAG, "").partition(" ")
    if logged == weights:
        return model_id
    # Models with other weights, or incomplete because of a kill.
    for each in client.search_logged_models([store.experiment_id], f"source_run_id = '{run_id}'"):
        client.delete_logged_model(each.model_id)
    described = {key: tags[key] for key in ("configuration", "dataset", "variant", "seed") if key in tags}
    model = client.create_logged_model(
        store.experiment_id, name.replace(".", "-"), run_id, described, {"weights_sha256": weights}, "image classifier"
    )
    with tempfile.TemporaryDirectory() as made:
        save_model(Path(made, "model"), folder, model.model_id, run_id)
        client.log_model_artifacts(model.model_id, str(Path(made, "model")))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    insert(lambda: client.set_tag(run_id, MODEL_TAG, f"{model.model_id} {weights}"))
    return str(model.model_id)


def save_model(place: Path, folder: Path, model_id: str, run_id: str) -> None:
    """Write MLflow's model of the net in `folder` to `place`; it contains the net's files unless they are large."""
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model as save
    from mlflow.types.schema import AnyType, ColSpec, DataType, Map, Schema

    inputs = Schema([ColSpec(AnyType(), "image")])  # type: ignore[no-untyped-call]
    outputs = Schema(
        [
            ColSpec(DataType.string, "class"),
            ColSpec(DataType.double, "probability"),
            ColSpec(Map(DataType.double), "probabilities"),
        ]
    )
    with tempfile.TemporaryDirectory() as made:
        code = Path(made, "net.py")
        code.write_text(CODE, encoding="utf-8")
        is_small = (folder / WEIGHTS).stat().st_size <= MAX_WEIGHTS
        save(
            place,
            mlflow_model=Model(model_id=model_id, run_id=run_id),
            python_model=str(code),
            artifacts={each: str(folder / each) for each in NET_FILES} if is_small else None,
            model_config={"folder": str(folder.resolve())},
            signature=ModelSignature(inputs, outputs),
            input_example={"image": [draw_example()]},
            pip_requirements=[f"alexnet2012=={version('alexnet2012')}", f"mlflow=={version('mlflow')}"],
        )


def draw_example() -> str:
    """A grey picture as an image file in base64."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (32, 32), (128, 128, 128)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
