"""Pre-training of the tiny frozen encoders in ``mapper_mm/assets/tiny_encoders/``."""
