"""The report as one HTML file: what it shows, and the template, style and scripts that show it."""
