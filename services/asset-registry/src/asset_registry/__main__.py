"""`python -m asset_registry` serves; `python -m asset_registry migrate` prepares the graph."""

from asset_registry.app import main

main()
