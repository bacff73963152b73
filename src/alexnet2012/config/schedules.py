"""When a training's learning rate changes and when it ends: by epochs, by error, by a target, or as it was logged."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from alexnet2012.config.nets import REST
from alexnet2012.config.validate import Section

FEWEST_STEPS, FEWEST_STEPS_PER_EPOCH = 1_000, 10  # below which a net may well stay at chance

Rate = Annotated[float, Field(ge=0)]


class FixedSchedule(Section):
    """`epochs[i]` epochs at learning_rate / 10^i."""

    kind: Literal["fixed"]
    epochs: list[int] = Field(min_length=1)

    @field_validator("epochs")
    @classmethod
    def _positive(cls, epochs: list[int]) -> list[int]:
        if min(epochs) < 1:
            raise ValueError(f"every learning rate needs at least one epoch, found {epochs}")
        return epochs

    @property
    def drops(self) -> int:
        return len(self.epochs) - 1

    @property
    def max_epochs(self) -> int:
        return sum(self.epochs)


class PlateauSchedule(Section):
    """§5: divide by ten when validation error stops improving; three drops, about 90 epochs."""

    kind: Literal["plateau"]
    patience: int = Field(default=5, ge=1)
    min_delta: float = Field(default=0.001, ge=0)
    drops: int = Field(default=3, ge=0)
    max_epochs: int = Field(default=90, ge=1)


class TargetSchedule(Section):
    """§3.1, figure 1: one learning rate until the training error, in evaluation mode, is at most `train_error`.

    Ends at `max_epochs` without it. `diverging: stop` lets a rate that is too high end a run that merely tries it.
    """

    kind: Literal["target"]
    train_error: float = Field(gt=0, lt=1)
    max_epochs: int = Field(ge=1)
    diverging: Literal["fail", "stop"] = "fail"

    @property
    def drops(self) -> int:
        return 0


class RateChange(Section):
    """What was changed by hand once `after` epochs were done: learning rates by layer, `rest` being all that are not
    named, and whether there is colour noise. What is not said stays as it was; a rate of 0 freezes its layer."""

    after: int = Field(ge=0)
    weights: dict[str, Rate] = {}
    biases: dict[str, Rate] = {}
    colour_noise: bool | None = None

    def followed_by(self, later: "RateChange") -> "RateChange":
        """Both at the moment of this one."""
        noise = self.colour_noise if later.colour_noise is None else later.colour_noise
        return RateChange(
            after=self.after,
            weights={**self.weights, **later.weights},
            biases={**self.biases, **later.biases},
            colour_noise=noise,
        )


class LoggedSchedule(Section):
    """A training that was steered by hand, as the 2012 source's notes log it: `learning_rate` and `bias_rate` of the
    training have no say in it."""

    kind: Literal["logged"]
    changes: list[RateChange] = Field(min_length=1)
    max_epochs: int = Field(ge=1)

    @model_validator(mode="after")
    def _from_the_beginning(self) -> "LoggedSchedule":
        first, moments = self.changes[0], [each.after for each in self.changes]
        if first.after != 0 or not first.weights.get(REST) or REST not in first.biases:
            raise ValueError(f"the first change is after: 0 and gives weights and biases a rate for {REST}")
        if any(each.weights.get(REST) == 0 for each in self.changes):
            raise ValueError(f"the rate of the {REST} never becomes 0; a layer is frozen by its own name")
        if moments != sorted(set(moments)) or moments[-1] >= self.max_epochs:
            raise ValueError(f"changes come one after another, before epoch {self.max_epochs}; found {moments}")
        return self

    @property
    def drops(self) -> int:
        """How often the rate of the rest was lowered."""
        return len(self.list_drops())

    def list_drops(self) -> list[int]:
        """After how many epochs the rate of the rest was lowered."""
        return [each.after for each in self.changes[1:] if REST in each.weights]

    def stretch(self, epochs: int) -> "LoggedSchedule":
        """The same over so many epochs, each change at the whole epoch that is nearest; raises ValueError where two
        rates of the rest would meet, or one has no epoch left."""
        moved: dict[int, RateChange] = {}
        for each in self.changes:
            after = round(each.after * epochs / self.max_epochs)
            before = moved.get(after)
            collide = before is not None and REST in each.weights and REST in before.weights
            if collide or after >= epochs:
                raise ValueError(f"{epochs} epochs are too few for its {len(self.changes)} changes")
            moved[after] = each.model_copy(update={"after": after}) if before is None else before.followed_by(each)
        return LoggedSchedule(kind="logged", changes=list(moved.values()), max_epochs=epochs)


AnySchedule = FixedSchedule | PlateauSchedule | TargetSchedule | LoggedSchedule


def warn_of_few_steps(steps_per_epoch: int, epochs: int) -> str:
    """A sentence for a training that is too short to learn much, and what to do about it; empty for a longer one."""
    steps = steps_per_epoch * epochs
    if steps >= FEWEST_STEPS and steps_per_epoch >= FEWEST_STEPS_PER_EPOCH:
        return ""
    return (
        f"too few steps to learn from ({steps:,} in all, {steps_per_epoch:,} an epoch; at least {FEWEST_STEPS:,} and "
        f"{FEWEST_STEPS_PER_EPOCH} are advised): lower training.batch_size, or train for more epochs"
    )
