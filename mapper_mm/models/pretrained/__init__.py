"""Reading released weights, tokenizers and architectures."""
