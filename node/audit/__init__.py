"""Who did what with which patient's data, as PS3.15 A.5 wants it kept."""
