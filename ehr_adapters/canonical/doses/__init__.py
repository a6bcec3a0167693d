"""How much of a medicine, by which way, how often; `canonical/dosing.py` is the public face. Pure."""
