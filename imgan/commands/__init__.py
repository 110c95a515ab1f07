"""The core's own commands."""
