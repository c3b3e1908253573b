"""What every body and path of the door has in common."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict

Name = Annotated[str, Path(max_length=64)]
VersionText = Annotated[str, Path(max_length=60)]


class Strict(BaseModel):
    """A body without surprises."""

    model_config = ConfigDict(extra="forbid", frozen=True)
