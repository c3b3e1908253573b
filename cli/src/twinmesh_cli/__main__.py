"""`python -m twinmesh_cli`: the command where there is no console script, as in the image."""

from twinmesh_cli.main import main

main()
