"""What items say: titles encoded once, each by its hash, in a short process of its own; items that come while the updater runs."""
