"""Which settings learn best: challengers beside the champion on the same windows, and promotion by evidence."""
