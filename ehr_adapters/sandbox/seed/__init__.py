"""The made-up practice: people, charts and notes in nobody's image."""
