"""Tables of the reading store. Statements are applied in order, once each; none is ever edited."""

from typing import Final

READINGS: Final = """
CREATE TABLE IF NOT EXISTS readings (
    tenant LowCardinality(String),
    asset_id LowCardinality(String),
    signal_id LowCardinality(String),
    observed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    value Float64 CODEC(ZSTD),
    status UInt32 CODEC(ZSTD),
    source_status UInt32 CODEC(ZSTD),
    flags UInt8 CODEC(ZSTD),
    sequence Int64 CODEC(Delta, ZSTD),
    arrived_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    advanced_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    repeats Int64 CODEC(ZSTD),
    raw_epoch Int64 CODEC(ZSTD),
    raw_seq Int64 CODEC(Delta, ZSTD),
    raw_ix Int64 CODEC(Delta, ZSTD),
    INDEX by_recorded recorded_at TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toYear(observed_at)
ORDER BY (tenant, asset_id, signal_id, observed_at, recorded_at)
SETTINGS non_replicated_deduplication_window = 1000
"""

# One row per hour that has readings; the row made last counts. `total` and `usable` are over the
# readings that are not Bad, so that hours add up to days.
HOURLY: Final = """
CREATE TABLE IF NOT EXISTS readings_hourly (
    tenant LowCardinality(String),
    asset_id LowCardinality(String),
    signal_id LowCardinality(String),
    hour DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    total Float64 CODEC(ZSTD),
    usable UInt64 CODEC(ZSTD),
    all_total Float64 CODEC(ZSTD),
    minimum Float64 CODEC(ZSTD),
    maximum Float64 CODEC(ZSTD),
    readings UInt64 CODEC(ZSTD),
    good UInt64 CODEC(ZSTD),
    status UInt32 CODEC(ZSTD),
    made_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD)
) ENGINE = ReplacingMergeTree(made_at)
PARTITION BY toYear(hour)
ORDER BY (tenant, asset_id, signal_id, hour)
"""

STATEMENTS: Final = (READINGS, HOURLY)
