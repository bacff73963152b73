"""Records as tables, figures and the run browser read them: the keys that they need, each with its type.

A record may have more keys. Those that were added later have a default here, since older records lack them.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alexnet2012.config.validate import describe_error
from alexnet2012.errors import RecordError
from alexnet2012.files import read_json

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class MadeBy(Record):
    commit: Text
    hardware: Text


class SplitCounts(Record):
    """Numbers of images; a dataset need not have a test split."""

    val: Count


class Images(Record):
    """A packed dataset."""

    name: Text
    digest: Text
    counts: SplitCounts


class TopErrors(Record):
    top1: Share
    top5: Share


class ErrorsByCrops(Record):
    centre: TopErrors
    ten_crop: TopErrors


class LastEpoch(Record):
    train_loss: float
    val_top1_error: Share


class TargetCosts(Record):
    """See costs.time_to_target."""

    train_error: Share
    epochs: float | None
    seconds: float | None


class ChanceLevel(Record, extra="forbid"):
    train_loss: float
    val_error: Share


class TrainingRecord(Record):
    """runs/.../record.json; baselines have no epochs, and so no `final`."""

    variant: Text
    seed: Count
    weights_sha256: Text
    provenance: MadeBy
    dataset: Images
    epochs: Count | None = None
    learning_rate: float | None = None
    train_images: Count | None = None
    wall_time_s: float | None = None
    diverged: bool = False
    final: LastEpoch | None = None
    chance: ChanceLevel = ChanceLevel(train_loss=0.0, val_error=1.0)  # never None
    target: TargetCosts | None = None
    energy: dict[str, float] = {}


class EvaluatedRecord(Record):
    provenance: MadeBy
    dataset: Images
    images: Count


class EvaluationRecord(EvaluatedRecord):
    """predictions/.../<split>.json, of a net."""

    seed: Count
    weights_sha256: Text
    errors: ErrorsByCrops


class AverageRecord(EvaluatedRecord):
    """predictions/.../<split>.json, of an ensemble."""

    members: dict[str, str] = Field(min_length=1)
    errors: ErrorsByCrops


class CalibrationRecord(EvaluatedRecord):
    """calibration/<dataset>.json"""

    errors: TopErrors


class ListedExperiment(Record):
    """One line of a configuration; `runs` of nets and `predictions` are folders, one for each seed."""

    dataset: Text
    kind: Text
    tables: list[str]
    predictions: list[str]
    variant: Text | None = None
    ensemble: Text | None = None
    runs: list[str] | None = None
    seeds: list[Count] = []
    splits: list[Literal["val", "test"]] = ["val", "test"]
    departures: list[str] = []
    length: str = "here"

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.variant is None) == (self.ensemble is None) or (self.variant is None) != (self.runs is None):
            raise ValueError("expected a variant with runs, or an ensemble without")
        if self.runs is not None and not len(self.runs) == len(self.seeds) == len(self.predictions):
            raise ValueError("expected as many runs and predictions as seeds")
        return self


class ListedKey(Record):
    dataset: Text
    key: Text


class ListedExperiments(Record):
    """experiments.json"""

    name: Text
    experiments: list[ListedExperiment]
    in_full: list[ListedKey] = []
    trainings: list[str] = []
    exploratory: str = ""


def read_record(path: Path, model: type[Record]) -> dict[str, Any]:
    """The record as it is; raises RecordError, with the first key that is missing or of another type."""
    values: dict[str, Any] = read_json(path)
    try:
        model.model_validate(values)
    except ValidationError as error:
        wrong = describe_error(model, error.errors()[0])
        raise RecordError(f"{path}: {wrong}. No table takes such a record: make it again") from None
    return values
