"""Where governance keeps the artefacts of models."""

from typing import Protocol

from governance.model.releases import ArtefactDigest


class ArtefactStore(Protocol):
    """Objects that are named by their digest, so none ever changes."""

    async def put(self, digest: ArtefactDigest, data: bytes) -> None:
        """Keep an artefact; one that is there stays.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def get(self, digest: ArtefactDigest) -> bytes:
        """Return an artefact.

        Raises:
            NotFoundError: It is not there.
            UnavailableError: The store does not answer.
        """
        ...
