"""Frozen encoders: what those of images and of text have in common."""
