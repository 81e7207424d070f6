"""Ratios measured in one run each; see RESULTS.md."""
