"""What must not happen: the gate before a bundle, the breaker before a window, and what tells of drift, bots and dead inputs."""
