"""What operators do: bundles, windows, dead letters, lag. Each verb returns what it found; ``commands.py`` prints it."""
