"""Reports finished runs as tables, figures and one HTML page."""
