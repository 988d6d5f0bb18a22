"""Process any number of pictures: find, group, run in several workers, resume, and list."""
