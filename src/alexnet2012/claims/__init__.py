"""Claims of the paper: measured, tested and settled by the rules of docs/claims.md."""
