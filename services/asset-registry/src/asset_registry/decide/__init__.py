"""What a statement does to what is known. Pure: facts in, outcome out."""

from asset_registry.decide.commands import (
    NewAlias,
    Registration,
    define,
    meanings,
    register,
    resolve,
)
from asset_registry.decide.ledger import Ledger

__all__ = ["Ledger", "NewAlias", "Registration", "define", "meanings", "register", "resolve"]
