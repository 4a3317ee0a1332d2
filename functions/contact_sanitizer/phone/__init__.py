"""Second step: from the text of a cell to one E.164 number, or one reason."""
