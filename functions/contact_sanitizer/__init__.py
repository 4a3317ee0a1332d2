"""Contact Sanitizer: a contact list in, a list that a sender may use out, and proof of every decision."""

__version__ = "0.1.0"
