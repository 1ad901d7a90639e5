"""What MMEngine's Runner is extended with: optimizers, hooks, loops and a Runner."""
