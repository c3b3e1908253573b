"""Compatibility as named profiles: registries contradict each other, so a verdict names its rules.

Each profile is a pure function from an old and a new schema to changes; `Mode` says in which
direction it is applied.
"""
