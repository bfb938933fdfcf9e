"""What is learned in one go: windows cut, planned and read again, and which origins were passed over."""
