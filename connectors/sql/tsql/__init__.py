"""What a T-SQL batch does: statements, verbs, resources, or the plain word that it is not understood."""
