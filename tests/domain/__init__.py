"""The rules, told as cases: one module for each question asked of them."""
