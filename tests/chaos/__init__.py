"""Real processes, brokers, databases and HTTP under a seeded schedule of faults: `make chaos MINUTES=…`."""
