"""Translations in closed form: what is known of a target is drawn, at the photo's own size."""
