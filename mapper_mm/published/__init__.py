"""The published MaPPER code: its checkpoints. Nothing else here knows of it."""
