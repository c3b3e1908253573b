"""`python -m hello_twin`."""

from hello_twin.app import main

main()
