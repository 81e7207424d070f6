"""What lies in an output directory: samples, their receipts, the split, and every name."""
