"""A scribe without a language model: it drafts a visit note by rules that can be read.

Everything it says it quotes. What the rules do not understand it leaves out.
"""
