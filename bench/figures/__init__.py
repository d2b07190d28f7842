"""The figures: each module measures one kind, the same way for every peer."""
