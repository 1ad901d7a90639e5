"""Base classes of image encoders, language models and text priors."""
