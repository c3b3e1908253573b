"""What can be asked of the maintenance twin: load, decide, save."""

from maintenance_twin.usecases.judge_silence import JudgeSilence
from maintenance_twin.usecases.read import (
    ConditionAnswer,
    ItemAnswer,
    ReadConditions,
    ReadWorkItems,
)
from maintenance_twin.usecases.revise_history import ReviseHistory
from maintenance_twin.usecases.take_readings import AssetReadings, TakeReadings
from maintenance_twin.usecases.withdraw_model import WithdrawModel
from maintenance_twin.usecases.workbench import Workbench

__all__ = [
    "AssetReadings",
    "ConditionAnswer",
    "ItemAnswer",
    "JudgeSilence",
    "ReadConditions",
    "ReadWorkItems",
    "ReviseHistory",
    "TakeReadings",
    "WithdrawModel",
    "Workbench",
]
