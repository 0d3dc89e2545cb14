"""Claims: what documents say, and what runs say to it by rules that were written down before them."""
