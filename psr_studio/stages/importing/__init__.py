"""Import: pictures made elsewhere become the pool."""
