"""All tables of the database."""

from typing import Final

from sqlalchemy import MetaData

METADATA: Final = MetaData()
