"""What every twin needs from outside, as protocols in domain words."""
