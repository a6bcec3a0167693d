"""What happened, provably. Knows no other app; architecture.md section "Audit" says what it promises."""
