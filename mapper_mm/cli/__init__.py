"""Shared parts of the command lines of tools/ and demo/."""
