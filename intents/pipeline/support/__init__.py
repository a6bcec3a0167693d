"""Does a source support what a draft says? By rules that can be read, apart from the drafting agent."""
