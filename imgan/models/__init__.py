"""Weights: cards, files, sessions."""
