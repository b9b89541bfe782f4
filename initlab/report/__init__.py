"""Outcomes to what a person reads: tables, text, pages and files."""
