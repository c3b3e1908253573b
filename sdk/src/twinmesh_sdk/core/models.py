"""What governance vouches for when it releases a model version."""


def signed_text(name: str, version: str, artefact_digest: str) -> bytes:
    r"""Return what is signed: that a version is this artefact, and no other.

    >>> signed_text("pump-condition", "1.0.0", "sha256:00")
    b'twinmesh-model\npump-condition\n1.0.0\nsha256:00\n'
    """
    return f"twinmesh-model\n{name}\n{version}\n{artefact_digest}\n".encode()
