"""One person across all lists, for whoever answers to that person."""
