"""The base of every section of a configuration."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Strict and frozen: no unknown keys, no conversions, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
