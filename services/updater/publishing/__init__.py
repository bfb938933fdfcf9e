"""What readers get: bundles rows by rows, full ones, checkpoints, and what is kept of the past."""
