"""The output directory: whose it is, what is in it, and who may write to it now."""
