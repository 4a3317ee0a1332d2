"""Third step: what forbids a number and what allows it."""
