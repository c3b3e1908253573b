"""Bytes to model and back: the doors' formats, columnar batches, protobuf messages."""
