"""The ports on a laptop: a home folder, SQLite, a key file. No AWS, no network."""
