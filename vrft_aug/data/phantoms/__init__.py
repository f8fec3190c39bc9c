"""The world of the phantoms: findings, diseases with made-up names, and drawings of them. Needs numpy alone."""
