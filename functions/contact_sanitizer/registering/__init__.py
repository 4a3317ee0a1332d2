"""Use cases on the registry: acts on one person, imports of consents and blocklists, hashed lists."""
