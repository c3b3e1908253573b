"""The GraphQL gateway of the mesh."""
