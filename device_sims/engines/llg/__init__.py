"""The built-in solver: batched Landau-Lifshitz-Gilbert dynamics in JAX."""
