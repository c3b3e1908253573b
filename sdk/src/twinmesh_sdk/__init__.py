"""The SDK with which a domain team builds its twin."""
