"""Subscriptions: events from the subgraph that owns them, completed by the others, to clients."""

from twinmesh_federation.subscriptions.aiohttp_client import AiohttpSubscriptionClient
from twinmesh_federation.subscriptions.client import SubscriptionClient, SubscriptionRequest
from twinmesh_federation.subscriptions.streams import SubscriptionLimits, Subscriptions

__all__ = [
    "AiohttpSubscriptionClient",
    "SubscriptionClient",
    "SubscriptionLimits",
    "SubscriptionRequest",
    "Subscriptions",
]
