"""Makes the report's page, one HTML file: its content, template, style and scripts."""
