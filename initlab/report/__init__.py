"""Reports of outcomes: tables, text, pages and files."""
