"""Extensions of MMEngine: a runner, hooks, loops and an optimizer constructor."""
