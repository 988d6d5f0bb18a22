"""Any number of pictures: found, grouped, done by several workers, resumed, and listed."""
