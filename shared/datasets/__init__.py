"""Real shops' histories as Freshet's own messages, for demos, benchmarks and imports."""
