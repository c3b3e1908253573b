"""Reading a descriptor set: which messages and packages it defines."""

from functools import lru_cache

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from governance.model.contracts import Bundle
from governance.model.findings import Finding
from twinmesh_sdk.core.errors import InvalidInputError


@lru_cache(maxsize=64)
def read_descriptors(descriptor_set: bytes) -> FileDescriptorSet:
    """Parse a descriptor set; do not change what it returns.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return FileDescriptorSet.FromString(descriptor_set)
    except DecodeError as error:
        raise InvalidInputError("the descriptor set does not parse") from error


def message_names(descriptor_set: bytes) -> frozenset[str]:
    """Return the full names of the messages that an event may carry: nested ones may not."""
    return frozenset(
        f"{file.package}.{message.name}" if file.package else message.name
        for file in read_descriptors(descriptor_set).file
        for message in file.message_type
    )


def packages(descriptor_set: bytes) -> frozenset[str]:
    """Return the packages that have a file here."""
    return frozenset(file.package for file in read_descriptors(descriptor_set).file)


def check_descriptors(bundle: Bundle) -> list[Finding]:
    """Rule: every package that the charter names is in the descriptor set, with its imports."""
    present = packages(bundle.descriptor_set)
    findings = [
        Finding(
            code="PACKAGE_WITHOUT_DESCRIPTOR",
            subject=package,
            message=f"the charter names {package}, the pushed descriptors do not hold it",
            hint="push with the generated code of that package installed",
            service=bundle.service,
        )
        for package in bundle.manifest.get("protos") or ()
        if package not in present
    ]
    files = {file.name for file in read_descriptors(bundle.descriptor_set).file}
    for file in read_descriptors(bundle.descriptor_set).file:
        findings += [
            Finding(
                code="IMPORT_MISSING",
                subject=file.name,
                message=f"{file.name} imports {dependency}, which is not in the descriptor set",
                hint="push the transitive set",
                service=bundle.service,
            )
            for dependency in file.dependency
            if dependency not in files
        ]
    return findings
