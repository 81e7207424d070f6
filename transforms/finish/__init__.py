"""What comes after all parts: merged files and the manifest."""
