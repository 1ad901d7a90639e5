"""The published MaPPER code: what it computes otherwise, and its checkpoints."""
