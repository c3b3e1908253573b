"""What the energy twin holds true."""
