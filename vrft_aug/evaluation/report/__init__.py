"""Run folders as tables, figures and one HTML page."""
