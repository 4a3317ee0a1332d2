"""First step: from the bytes of a file to batches of cells."""
