"""What the strict check of R4 knows: elements, bindings, invariants, narratives, forms of primitives. Pure."""
