"""The report on a finished dataset: one HTML file that needs nothing but a browser."""
