"""The recorded scripts, one module per group; `catalogue` has them all."""
