"""How good pictures are: pair by pair against targets, as a set against a set, and by judges of identity."""
