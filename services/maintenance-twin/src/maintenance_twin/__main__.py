"""Start the service: `python -m maintenance_twin`."""

from maintenance_twin.app import main

if __name__ == "__main__":
    main()
