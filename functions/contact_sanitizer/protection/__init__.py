"""Fourth step: keys, subjects, tokens, masks, and the scan of kept cells."""
