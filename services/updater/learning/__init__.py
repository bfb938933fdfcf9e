"""What learns: the ranking model, its rows, how they move, and what a window becomes before it is learned. No Kafka, no storage."""
