"""What attacks, faults and shifts do to the loop, with and without the safeguard against each."""
