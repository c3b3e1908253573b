"""What tests of a twin need: simulated time, servers of the default stack, the conformance kit."""
