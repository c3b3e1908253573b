"""Policy sets to protobuf."""

import json

from governance.model.policies import PolicySet
from twinmesh.governance.v1 import policy_service_pb2 as pb
from twinmesh_sdk.wire import timestamp


def policy_set_to_pb(given: PolicySet, *, in_force: int, whole: bool) -> pb.PolicySet:
    """Return a policy set's message.

    Args:
        in_force: Version of the set in force.
        whole: With text and tests.
    """
    return pb.PolicySet(
        version=given.version,
        digest=given.digest,
        in_force=given.version == in_force,
        author=given.author,
        put_at=timestamp(given.put_at),
        note=given.note,
        approved_by=given.approved_by,
        approved_at=timestamp(given.approved_at),
        cedar=given.cedar if whole else "",
        tests_json=json.dumps(list(given.tests)) if whole else "",
    )
