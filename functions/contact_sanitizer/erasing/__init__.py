"""A person is forgotten: what can be tied to them goes, what has to stay is said, and the audit verifies."""
