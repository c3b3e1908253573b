"""What arrives by itself: raw messages, the registry's events, the ticks of the clock."""
