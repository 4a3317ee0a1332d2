"""Who did what, when and why: written before the effect, without personal data."""
