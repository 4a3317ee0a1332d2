"""The reads that a store's own trail tells of, against what our log announced."""
