"""The version of mapper_mm, read by setup.py too (which must not import the package)."""

__version__ = '0.1.0'
