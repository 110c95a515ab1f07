"""The torch room: what every trainer shares. Importing it imports torch."""
