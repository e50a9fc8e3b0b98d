"""What may reach production: signatures, where they come from, and what passed before."""
