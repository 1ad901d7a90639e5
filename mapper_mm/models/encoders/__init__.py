"""What encoders of images and of text have in common, and what each must give."""
