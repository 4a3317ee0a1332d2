"""The functions of a stack: each module parses an event, calls one use case and translates the error."""
