"""ClickHouse's HTTP interface in front of chDB (ClickHouse's engine): one process, one folder."""
