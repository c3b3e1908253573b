"""`python -m governance` serves; `python -m governance migrate` prepares the database."""

from governance.app import main

main()
