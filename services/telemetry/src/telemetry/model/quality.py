"""OPC UA status codes that readings carry.

Source: OPC UA Part 4, 7.39 (layout), Part 8, 6.3 (data access codes) and Part 13 (aggregates);
the numeric values are those of the OPC Foundation's StatusCode table.
"""

from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

GOOD: Final = 0x00000000
UNCERTAIN: Final = 0x40000000
BAD: Final = 0x80000000

BAD_OUT_OF_RANGE: Final = 0x803C0000
UNCERTAIN_LAST_USABLE_VALUE: Final = 0x40900000
UNCERTAIN_SENSOR_NOT_ACCURATE: Final = 0x40930000

CODE_BY_NAME: Final[dict[str, int]] = {
    "Good": GOOD,
    "Uncertain": UNCERTAIN,
    "Bad": BAD,
    "GoodClamped": 0x00300000,
    "GoodLocalOverride": 0x00960000,
    "GoodEntryInserted": 0x00A20000,
    "GoodEntryReplaced": 0x00A30000,
    "GoodNoData": 0x00A50000,
    "GoodMoreData": 0x00A60000,
    "GoodEdited": 0x00DC0000,
    "GoodSubNormal": 0x00EB0000,
    "UncertainNoCommunicationLastUsableValue": 0x408F0000,
    "UncertainLastUsableValue": UNCERTAIN_LAST_USABLE_VALUE,
    "UncertainSubstituteValue": 0x40910000,
    "UncertainInitialValue": 0x40920000,
    "UncertainSensorNotAccurate": UNCERTAIN_SENSOR_NOT_ACCURATE,
    "UncertainEngineeringUnitsExceeded": 0x40940000,
    "UncertainSubNormal": 0x40950000,
    "UncertainDataSubNormal": 0x40A40000,
    "UncertainTransducerInManual": 0x42080000,
    "UncertainSimulatedValue": 0x42090000,
    "UncertainSensorCalibration": 0x420A0000,
    "UncertainConfigurationError": 0x420F0000,
    "BadUnexpectedError": 0x80010000,
    "BadInternalError": 0x80020000,
    "BadCommunicationError": 0x80050000,
    "BadTimeout": 0x800A0000,
    "BadServerNotConnected": 0x800D0000,
    "BadNoCommunication": 0x80310000,
    "BadWaitingForInitialData": 0x80320000,
    "BadOutOfRange": BAD_OUT_OF_RANGE,
    "BadNotSupported": 0x803D0000,
    "BadConfigurationError": 0x80890000,
    "BadNotConnected": 0x808A0000,
    "BadDeviceFailure": 0x808B0000,
    "BadSensorFailure": 0x808C0000,
    "BadOutOfService": 0x808D0000,
    "BadNoData": 0x809B0000,
    "BadDataLost": 0x809D0000,
    "BadDataUnavailable": 0x809E0000,
}
NAME_BY_CODE: Final[dict[int, str]] = {code: name for name, code in CODE_BY_NAME.items()}
MAX_CODE: Final = 2**32 - 1
# Bits 16 to 31 hold severity and sub-code; the low half carries flags that do not name a reason.
_CODE_MASK: Final = 0xFFFF0000


def status_of(quality: object) -> int:
    """Return the status code of a source's quality: a name, a number, or nothing for Good.

    Raises:
        InvalidInputError: Neither a known name nor a 32-bit number.
    """
    if quality is None:
        return GOOD
    if isinstance(quality, str):
        code = CODE_BY_NAME.get(quality)
        if code is None:
            raise InvalidInputError(f"quality {quality[:60]!r} is no known OPC UA status code")
        return code
    if isinstance(quality, int) and not isinstance(quality, bool) and 0 <= quality <= MAX_CODE:
        return quality
    raise InvalidInputError("quality is neither an OPC UA name nor a 32-bit status code")


def name_of(code: int) -> str:
    """Return the name of a status code, or its hexadecimal form when it has none here."""
    return NAME_BY_CODE.get(code & _CODE_MASK, f"0x{code:08X}")
