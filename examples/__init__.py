"""Examples of agents. They know the portal's public API and import nothing from the project."""
