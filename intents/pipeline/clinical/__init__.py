"""What the portal knows of medicine: a reviewed table of medicines, and how to read a chart for it. Pure.

Every function here is total: a value that is missing, odd or unreadable comes back as "not known", never as
an exception and never as harmless.
"""
