"""Fifth step: the clean list, the rejects, the decisions and the manifest."""
