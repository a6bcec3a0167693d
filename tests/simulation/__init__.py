"""Seeded histories of `intents.pipeline.delivery` against a faulty EHR, clock, broker and database."""
