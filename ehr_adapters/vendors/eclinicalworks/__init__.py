"""eClinicalWorks: transactions of one entry, numbers inside a 2xx, App Data, notes as HL7 v2."""
