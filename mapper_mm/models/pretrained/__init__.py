"""Read released weights, tokenizers and architectures."""
