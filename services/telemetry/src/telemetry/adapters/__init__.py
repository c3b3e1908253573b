"""One file per technology: ClickHouse, PostgreSQL, NATS, the registry's gRPC."""
