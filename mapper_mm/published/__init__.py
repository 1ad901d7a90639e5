"""Differences of the published MaPPER code, and its checkpoints."""
