"""From a query plan to an answer."""
