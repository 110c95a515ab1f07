"""The torch room: what every trainer shares."""
