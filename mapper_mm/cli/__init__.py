"""What the command lines of tools/ and demo/ have in common."""
