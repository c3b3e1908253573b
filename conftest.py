"""Settings of the whole suite."""

# Imported first, because their folders carry the same names: pytest would otherwise
# take `gateway/tests/...` for a part of a namespace package `gateway`.
import gateway  # noqa: F401
import governance  # noqa: F401
