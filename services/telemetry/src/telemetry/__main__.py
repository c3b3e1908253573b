"""`python -m telemetry` serves; `python -m telemetry migrate` prepares the databases."""

from telemetry.app import main

main()
