"""The files of all that is held: written whole, sealed, named, and shelves of what is in them."""
