"""Ways to set text beside the basic one, for scripts that need more."""
