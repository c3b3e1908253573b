"""The servers of the default stack, one file each: their configuration and how they are started."""
