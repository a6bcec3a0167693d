"""How changes are said to Unity: one action and its parameters for each kind, and back."""
