"""The audit log summed up for a reviewer and for a regulator, from its verified entries alone."""
