"""From input files to articles."""
