"""Public sets replayed through the updater's own learner, beside its rivals; see ``__main__.py``."""
