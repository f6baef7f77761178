"""What a traced graph says of a model, operation by operation."""
