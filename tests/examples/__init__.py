"""The example scribe and the command that runs it."""
