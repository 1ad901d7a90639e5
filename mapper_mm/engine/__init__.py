"""What MMEngine's Runner is extended with: optimizers and hooks."""
