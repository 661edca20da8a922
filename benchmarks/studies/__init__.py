"""Studies: findings of papers, measured on the bundled generator; ``study.py`` runs them."""
