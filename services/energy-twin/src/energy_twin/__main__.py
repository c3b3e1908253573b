"""`python -m energy_twin` serves; `python -m energy_twin migrate` prepares the database."""

from energy_twin.app import main

main()
