"""The numbers and claims of the paper, each with its place there. Errors and sizes of claims are fractions."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Edition(StrEnum):
    """A dataset of the paper."""

    ILSVRC2010 = "ILSVRC-2010"
    ILSVRC2012 = "ILSVRC-2012"
    FALL2009 = "ImageNet Fall 2009"


ILSVRC2010, ILSVRC2012, FALL2009 = Edition


class Hardware(StrEnum):
    """The hardware on which a claim about time is measured."""

    GPUS = "GPUs"


@dataclass(frozen=True)
class Errors:
    """A top-1 and a top-5 error, or the differences of two errors; None where the paper gives none."""

    top1: float | None = None
    top5: float | None = None

    @property
    def given(self) -> list[float]:
        """The given values among the two."""
        return [each for each in (self.top1, self.top5) if each is not None]


@dataclass(frozen=True)
class TableRow:
    """A row of table 1 or 2. `key`: the variant or ensemble in config/variants.yaml that reproduces it, with `recipe`;
    `section`: the section of a configuration that trains it. `logged`: the same error in the 2012 source's run notes
    (test in table 1, val in table 2)."""

    label: str
    key: str
    val: Errors = Errors()
    test: Errors = Errors()
    logged: Errors = Errors()
    recipe: str = "paper"
    section: Literal["experiments", "full"] = "full"


@dataclass(frozen=True)
class LoggedNet:
    """A net of the 2012 source with its logged ten-crop error on `split` of `edition`. `key`: its name in
    config/variants.yaml; `against`: the net that it varies."""

    label: str
    key: str
    edition: Edition
    split: str
    errors: Errors
    against: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of the ledger. `stated`: its size as an error or a difference of errors; `size`: its size in words.

    `needs`: what measures it, by type: a whole dataset of the paper, hardware, or variants (names in
    config/variants.yaml), the base net first; an empty tuple for arithmetic. `factor`: the size, if it is a ratio.
    `bound`: the size is a bound ("over 1 point"). `edition`: the dataset on which the paper measured the size, if it
    says so. `reading`: the interpretation, if a claim has two rows with different ones. `unit`: that of its number: an
    error ("%"), a difference of errors ("points"), a ratio ("x"); empty if it has no number.
    """

    id: str
    text: str
    section: str
    stated: Errors = Errors()
    size: str = ""
    needs: Edition | Hardware | tuple[str, ...] = ()
    in_text: bool = False
    edition: Edition | None = None
    factor: float | None = None
    bound: Literal["", "at least", "at most"] = ""
    reading: str = ""
    unit: Literal["", "%", "points", "x"] = "points"

    @property
    def number(self) -> float | None:
        """The number that the paper states, in `unit`; None if it states none."""
        return self.factor if self.stated.top1 is None else round(in_unit(self.stated.top1, self.unit), 6)

    @property
    def words(self) -> str:
        """The claim in words, with its `reading` if it has one."""
        return f"{self.text} ({self.reading})" if self.reading else self.text

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in `needs`; empty if the claim needs something else."""
        return self.needs if isinstance(self.needs, tuple) else ()


def in_unit(value: float, unit: str) -> float:
    """`value` in `unit`: exp(value) for "x", where `value` is a logarithm; else a fraction times 100."""
    return math.exp(value) if unit == "x" else 100 * value


def gain(worse: Errors, better: Errors, digits: int = 4) -> Errors:
    """`worse` minus `better`, rounded to `digits` digits: by default to the paper's precision, 0.1 point."""
    pairs = ((worse.top1, better.top1), (worse.top5, better.top5))
    return Errors(*(None if a is None or b is None else round(a - b, digits) for a, b in pairs))


# The 2012 source's run notes, at full precision.
LOGGED_DIGITS = 6
NET145_2010 = LoggedNet("net 145 on 2010", "net145-2010", ILSVRC2010, "test", Errors(0.374727, 0.169987))
NET145_2012 = LoggedNet("net 145 on 2012", "net145", ILSVRC2012, "val", Errors(0.406640, 0.182100))
NET146 = LoggedNet("net 146", "net146", ILSVRC2012, "val", Errors(0.389900, 0.166220))
LOGGED_NETS = (
    NET145_2010,
    NET145_2012,
    LoggedNet("net 145-half, one tower", "net145-half", ILSVRC2010, "test", Errors(0.391680, 0.182287), "net145-2010"),
    LoggedNet("net 147, pooling 2/2", "net147", ILSVRC2012, "val", Errors(0.410580, 0.185100), "net145"),
    LoggedNet("net 148, no normalisation", "net148", ILSVRC2012, "val", Errors(0.420340, 0.193620), "net145"),
    LoggedNet("net 150, towers apart", "net150", ILSVRC2012, "val", Errors(0.418280, 0.193300), "net145"),
)

# Table 1: ILSVRC-2010 test set.
TABLE1 = (
    TableRow("Sparse coding [2]", "sparse-coding", test=Errors(0.471, 0.282), recipe="baseline"),
    TableRow("SIFT + FVs [24]", "sift-fv", test=Errors(0.457, 0.257), recipe="baseline"),
    TableRow("CNN", "cnn", test=Errors(0.375, 0.170), logged=NET145_2010.errors, section="experiments"),
)
# §6: the same net with only the centre crop.
CENTRE_CROP = Errors(0.390, 0.183)

# Table 2: ILSVRC-2012; top-1 errors on its test set are unknown because its labels are not public.
TABLE2 = (
    TableRow("SIFT + FVs [7]", "sift-fv", test=Errors(None, 0.262), recipe="baseline"),
    TableRow("1 CNN", "cnn", val=Errors(0.407, 0.182), logged=NET145_2012.errors, section="experiments"),
    TableRow("5 CNNs", "5-cnns", val=Errors(0.381, 0.164), test=Errors(None, 0.164), section="experiments"),
    TableRow("1 CNN*", "1-cnn-star", val=Errors(0.390, 0.166), logged=NET146.errors),
    TableRow("7 CNNs*", "7-cnns-star", val=Errors(0.367, 0.154), test=Errors(None, 0.153)),
)

# The same rows with the 2012 source's recipe, shown in tables whose configuration trains these nets.
CODE_ROWS = (
    TableRow(
        "CNN, net 145 (code2012)", "net145-2010", test=TABLE1[2].test, logged=NET145_2010.errors, recipe="code2012"
    ),
    TableRow("1 CNN, net 145 (code2012)", "net145", val=TABLE2[1].val, logged=NET145_2012.errors, recipe="code2012"),
)

# §6 and table 2: gain from averaging five nets.
FIVE_CNNS_GAIN = gain(TABLE2[1].val, TABLE2[2].val)

# §6: the net with a sixth convolutional layer, pre-trained for the starred rows of table 2.
FALL_2009 = TableRow("CNN, sixth layer", "cnn-sixth-layer", test=Errors(0.674, 0.409))
FALL_2009_BEST_BEFORE = Errors(0.781, 0.609)

CLASS_COUNT = 1000
PARAMETERS = 60_000_000  # abstract
NEURONS = 650_000  # abstract
CONV_SHARE = 0.01  # §1: "each ... no more than 1% of the model's parameters"
RELU_SPEEDUP = 6  # §3.1
CIFAR10_WITHOUT_LRN, CIFAR10_WITH_LRN = Errors(0.13), Errors(0.11)  # §3.3
CNN_OVER_SPARSE_CODING, CNN_OVER_SIFT_FV = (gain(row.test, TABLE1[2].test) for row in TABLE1[:2])

ON_CIFAR10 = ("C11", "C12")  # §3.1 and §3.3 use four-layer nets on CIFAR-10

CLAIMS = (
    Claim(
        "C01", "the CNN's error on ILSVRC-2010 test, ten crops", "table 1", TABLE1[2].test, needs=ILSVRC2010, unit="%"
    ),
    Claim("C02", "the same net, centre crop alone", "6", CENTRE_CROP, needs=ILSVRC2010, in_text=True, unit="%"),
    Claim(
        "C03",
        "averaging over ten crops lowers the error",
        "4.1, 6",
        gain(CENTRE_CROP, TABLE1[2].test),
        needs=("cnn",),
        edition=ILSVRC2010,
        in_text=True,
    ),
    Claim(
        "C04",
        "the two-GPU net beats the one-GPU net of halved width",
        "3.2",
        Errors(0.017, 0.012),
        needs=("cnn", "one-gpu"),
        edition=ILSVRC2010,
        in_text=True,
    ),
    Claim(
        "C05",
        "response normalisation lowers the error",
        "3.3",
        Errors(0.014, 0.012),
        needs=("cnn", "no-lrn"),
        edition=ILSVRC2012,
        in_text=True,
        reading="alpha as printed",
    ),
    Claim(
        "C05",
        "response normalisation lowers the error",
        "3.3",
        Errors(0.014, 0.012),
        needs=("lrn-alpha-over-n", "no-lrn"),
        edition=ILSVRC2012,
        in_text=True,
        reading="alpha divided by n",
    ),
    Claim(
        "C06",
        "overlapping pooling lowers the error",
        "3.4",
        Errors(0.004, 0.003),
        needs=("cnn", "pool-2x2"),
        edition=ILSVRC2012,
        in_text=True,
    ),
    Claim(
        "C07",
        "colour augmentation lowers the top-1 error",
        "4.1",
        Errors(0.01, None),
        size="over 1 point",
        needs=("cnn", "no-colour"),
        in_text=True,
        bound="at least",
    ),
    Claim(
        "C08",
        "without dropout the net overfits substantially; dropout about doubles the iterations to converge",
        "4.2",
        size="2x iterations",
        needs=("cnn", "no-dropout"),
        in_text=True,
    ),
    Claim(
        "C09",
        "without crops and reflections the net overfits substantially",
        "4.1",
        needs=("cnn", "no-crops"),
        in_text=True,
    ),
    Claim(
        "C10",
        "removing any middle convolutional layer costs top-1 error",
        "7",
        Errors(0.02, None),
        size="about 2 points",
        needs=("cnn", "no-conv2", "no-conv3", "no-conv4", "no-conv5"),
        in_text=True,
    ),
    Claim(
        "C11",
        "a four-layer net with ReLUs reaches 25 % training error on CIFAR-10 faster than with tanh",
        "3.1, figure 1",
        size=f"{RELU_SPEEDUP}x",
        needs=("four-layer-relu", "four-layer-tanh"),
        in_text=True,
        factor=RELU_SPEEDUP,
        unit="x",
    ),
    Claim(
        "C12",
        "CIFAR-10 four-layer net: test error without and with response normalisation",
        "3.3",
        gain(CIFAR10_WITHOUT_LRN, CIFAR10_WITH_LRN),
        size=f"{CIFAR10_WITHOUT_LRN.top1:.0%} -> {CIFAR10_WITH_LRN.top1:.0%}".replace("%", " %"),
        needs=("cifar-13pct", "cifar-13pct-lrn", "cifar-11pct"),
        in_text=True,
    ),
    Claim("C13", "1 CNN on ILSVRC-2012 val", "table 2", TABLE2[1].val, needs=ILSVRC2012, unit="%"),
    Claim("C14", "the average of five CNNs on ILSVRC-2012 val", "table 2", TABLE2[2].val, needs=ILSVRC2012, unit="%"),
    Claim("C15", "1 CNN*, pre-trained, on ILSVRC-2012 val", "table 2", TABLE2[3].val, needs=ILSVRC2012, unit="%"),
    Claim("C16", "7 CNNs* on ILSVRC-2012 val", "table 2", TABLE2[4].val, needs=ILSVRC2012, unit="%"),
    Claim("C17", "the error on ImageNet Fall 2009", "6", FALL_2009.test, needs=FALL2009, in_text=True, unit="%"),
    Claim(
        "C18",
        "the CNN beats sparse coding and SIFT + FVs",
        "table 1",
        CNN_OVER_SIFT_FV,
        size="9.6 and 8.2 points top-1",
        needs=("cnn", "sparse-coding", "sift-fv"),
        edition=ILSVRC2010,
    ),
    Claim("C19", "weight decay lowers the TRAINING error too", "5", needs=("cnn", "no-weight-decay"), in_text=True),
    Claim(
        "C20",
        "the two-GPU net trains in slightly less time than the one-GPU net",
        "3.2",
        needs=("one-gpu", "cnn-two-devices"),
        in_text=True,
        unit="x",
    ),
    Claim(
        "C21",
        "the two towers specialise: one colour-agnostic, one colour-specific, in every run",
        "6.1, figure 3",
        size="every run",
        needs=("cnn",),
        unit="",
    ),
    Claim(
        "C22",
        "neighbours in the last hidden layer are semantic, not pixel neighbours",
        "6.1, figure 4",
        needs=("cnn",),
    ),
    Claim(
        "C23",
        "training takes five to six days on two GTX 580",
        "5",
        size="5 to 6 days",
        needs=Hardware.GPUS,
        in_text=True,
        unit="",
    ),
    Claim(
        "C24",
        "60 million parameters and 650,000 neurons",
        "abstract",
        size=f"{PARAMETERS:,} and {NEURONS:,}",
        in_text=True,
        unit="",
    ),
    Claim(
        "C25",
        "each convolutional layer holds no more than 1 % of the parameters",
        "1",
        size=f"at most {100 * CONV_SHARE:.0f} %",
        in_text=True,
        unit="",
    ),
    Claim(
        "C26",
        "validation and test errors differ by no more than 0.1 point",
        "6",
        Errors(0.001, 0.001),
        needs=ILSVRC2010,
        in_text=True,
        bound="at most",
    ),
)
