"""What a page and a dataset are: the library, for training scripts too. Imports no Beam."""
