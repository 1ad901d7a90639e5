"""Everything about files that hold a model."""
