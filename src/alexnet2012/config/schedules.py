"""Schedules: when the learning rate drops and when training ends, by epochs, error, a target, or a log."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from alexnet2012.config.nets import REST
from alexnet2012.config.validate import Section

FEWEST_STEPS, FEWEST_STEPS_PER_EPOCH = 1_000, 10  # with fewer, a net may not get better than chance

Rate = Annotated[float, Field(ge=0)]


class FixedSchedule(Section):
    """`epochs[i]` epochs at learning_rate / 10^i."""

    kind: Literal["fixed"]
    epochs: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)

    @property
    def drops(self) -> int:
        """Number of times that the learning rate is divided by ten."""
        return len(self.epochs) - 1

    @property
    def max_epochs(self) -> int:
        """The number of epochs at all learning rates."""
        return sum(self.epochs)


class PlateauSchedule(Section):
    """§5: divide the rate by ten when validation error stops improving; three drops, about 90 epochs."""

    kind: Literal["plateau"]
    patience: int = Field(default=5, ge=1)
    min_delta: float = Field(default=0.001, ge=0)
    drops: int = Field(default=3, ge=0)
    max_epochs: int = Field(default=90, ge=1)


class TargetSchedule(Section):
    """§3.1, figure 1: a constant rate until the training error, in evaluation mode, is at most `train_error` (a
    fraction), for at most `max_epochs`. `diverging: stop` ends a diverging run without an error, for trials of rates.
    """

    kind: Literal["target"]
    train_error: float = Field(gt=0, lt=1)
    max_epochs: int = Field(ge=1)
    diverging: Literal["fail", "stop"] = "fail"

    @property
    def drops(self) -> int:
        return 0


class RateChange(Section):
    """A manual change after epoch `after`: learning rates by layer, `rest` for all others, and colour noise on or off.

    Settings left out stay as they were; a rate of 0 freezes its layer.
    """

    after: int = Field(ge=0)
    weights: dict[str, Rate] = {}
    biases: dict[str, Rate] = {}
    colour_noise: bool | None = None

    def followed_by(self, later: "RateChange") -> "RateChange":
        """This change and a later one combined, at this one's epoch."""
        noise = self.colour_noise if later.colour_noise is None else later.colour_noise
        return RateChange(
            after=self.after,
            weights={**self.weights, **later.weights},
            biases={**self.biases, **later.biases},
            colour_noise=noise,
        )


class LoggedSchedule(Section):
    """A training steered by hand, as logged in the 2012 source's notes; it ignores the training's `learning_rate` and
    `bias_rate`."""

    kind: Literal["logged"]
    changes: list[RateChange] = Field(min_length=1)
    max_epochs: int = Field(ge=1)

    @model_validator(mode="after")
    def _from_the_beginning(self) -> "LoggedSchedule":
        first, moments = self.changes[0], [each.after for each in self.changes]
        if first.after != 0 or not first.weights.get(REST) or REST not in first.biases:
            raise ValueError(f"the first change must have after: 0 and a rate for {REST} in both weights and biases")
        if any(each.weights.get(REST) == 0 for each in self.changes):
            raise ValueError(f"the rate of {REST} cannot be 0; name the layers to freeze")
        if moments != sorted(set(moments)) or moments[-1] >= self.max_epochs:
            raise ValueError(f"expected increasing values of after, below {self.max_epochs}; found {moments}")
        return self

    @property
    def drops(self) -> int:
        """The number of drops of `rest`'s rate."""
        return len(self.list_drops())

    def list_drops(self) -> list[int]:
        """The epochs after which the rate of `rest` drops."""
        return [each.after for each in self.changes[1:] if REST in each.weights]

    def stretch(self, epochs: int) -> "LoggedSchedule":
        """This schedule scaled to `epochs`, each change at the nearest whole epoch; raises ValueError if two rates of
        `rest` would coincide or a change would have no epoch left."""
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
    """A warning, with advice, if a training is too short to learn much; else an empty string."""
    steps = steps_per_epoch * epochs
    if steps >= FEWEST_STEPS and steps_per_epoch >= FEWEST_STEPS_PER_EPOCH:
        return ""
    return (
        f"too few steps to learn from ({steps:,} in all, {steps_per_epoch:,} an epoch; at least {FEWEST_STEPS:,} and "
        f"{FEWEST_STEPS_PER_EPOCH} are advised): lower training.batch_size, or train for more epochs"
    )
