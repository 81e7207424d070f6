"""Text of any script, shaped by HarfBuzz and ordered by ICU. `oracle.py` says what a page is."""
