"""Rule: a version is immutable, and a new one is newer."""

from governance.model.contracts import Bundle, Mesh
from governance.model.findings import Finding


def check_version(mesh: Mesh, bundle: Bundle) -> list[Finding]:
    """Return why this version cannot be registered; a repeat of the same content is no finding."""
    registered = mesh.version(bundle.service, bundle.version)
    if registered is not None:
        if registered.bundle.digest == bundle.digest:
            return []
        return [
            Finding(
                code="VERSION_TAKEN",
                subject=f"{bundle.service} {bundle.version}",
                message=(
                    f"{bundle.service} {bundle.version} is registered with another content "
                    f"({registered.bundle.digest[:12]}, pushed {bundle.digest[:12]})"
                ),
                hint="a registered version never changes: raise `version` in twin.yaml",
                service=bundle.service,
            )
        ]
    newest = next((c for c in mesh.of(bundle.service) if c.bundle.version > bundle.version), None)
    if newest is None:
        return []
    return [
        Finding(
            code="VERSION_NOT_NEWER",
            subject=f"{bundle.service} {bundle.version}",
            message=f"{newest.bundle.version} is registered already",
            hint=f"choose a version above {newest.bundle.version}",
            service=bundle.service,
        )
    ]
