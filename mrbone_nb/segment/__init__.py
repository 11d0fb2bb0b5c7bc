"""Steps that find bone: one family a file."""
