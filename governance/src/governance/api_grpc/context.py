"""What grpc.aio hands to every call."""

from typing import Any

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
