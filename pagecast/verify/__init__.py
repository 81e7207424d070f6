"""Checking a dataset against itself and against the rules, without trusting what wrote it."""
