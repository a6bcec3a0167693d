"""AdvancedMD: reading by FHIR, writing by the messages of its Connect interface.

The facts are those of AdvancedMD's published FHIR pages (which only read) and of integrators who use the
Connect interface, whose documents are not public. What no public document says is a setting.
"""
