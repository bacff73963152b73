"""The systems that table 1 compares the net with: local descriptors, a code for each image, linear classifiers."""

from typing import Literal

from pydantic import Field, field_validator

from alexnet2012.section import Section


class GridConfig(Section):
    """Square patches of `side_px` at every `step_px` pixels, as many as fit."""

    side_px: int = Field(ge=4)
    step_px: int = Field(ge=1)


class DescriptorConfig(Section):
    """What is computed of each patch; the image is enlarged `enlarged` times before.

    sift: 4x4 cells of 8 orientations, square-rooted. colour: mean and deviation of RGB in 4x4 cells. hog: 2x2 cells of
    9 orientations. lbp: uniform local binary patterns in 2x2 cells. pixels: RGB, contrast-normalised.
    """

    kind: Literal["sift", "colour", "hog", "lbp", "pixels"]
    grids: list[GridConfig] = Field(min_length=1)
    enlarged: int = Field(default=1, ge=1)


class LinearConfig(Section):
    """One-vs-rest support vector machines by averaged stochastic gradient descent: L2 penalty `alpha`, whole passes;
    `standardised`: over codes less their mean, in units of their deviation."""

    alpha: float = Field(default=1e-5, gt=0)
    epochs: int = Field(default=10, ge=1)
    standardised: bool = False


class BaselineConfig(Section):
    """What both have in common.

    `pyramid`: cells per side of each level, over which codes are pooled (1 is the whole image). `sampled_images`,
    `sampled_descriptors`: of the training split, to learn codes from. `stored`: codes in halves of a float, or
    product-quantised to a byte for each 8 numbers where they would outgrow memory and disk.
    """

    models: list[DescriptorConfig] = Field(min_length=1)
    pyramid: list[int] = [1, 2]
    sampled_images: int = Field(default=10_000, ge=1)
    sampled_descriptors: int = Field(default=200_000, ge=1)
    linear: LinearConfig = LinearConfig()
    stored: Literal["float16", "quantised"] = "float16"

    @field_validator("models")
    @classmethod
    def _distinct(cls, models: list[DescriptorConfig]) -> list[DescriptorConfig]:
        if any(model in models[:index] for index, model in enumerate(models)):
            raise ValueError("the same descriptors twice make the same classifier twice; change or remove one of them")
        return models

    @field_validator("pyramid")
    @classmethod
    def _levels(cls, pyramid: list[int]) -> list[int]:
        if not pyramid or min(pyramid) < 1 or len(set(pyramid)) != len(pyramid):
            raise ValueError(f"a level is its number of cells per side, each once, e.g. [1, 2]; found {pyramid}")
        return pyramid


class FisherConfig(BaselineConfig):
    """SIFT + FVs (the paper's [24]): Fisher vectors of a mixture of Gaussians over descriptors of `dimensions`."""

    kind: Literal["sift-fv"]
    dimensions: int = Field(default=64, ge=1)
    gaussians: int = Field(default=64, ge=1)


class SparseConfig(BaselineConfig):
    """Sparse coding (the paper's [2]): `atoms` are learnt with an L1 penalty of `penalty`, which is also the threshold
    of the codes, from whitened descriptors; codes are maximum-pooled."""

    kind: Literal["sparse-coding"]
    dimensions: int = Field(default=64, ge=1)
    atoms: int = Field(default=512, ge=2)
    penalty: float = Field(default=1.0, gt=0)
