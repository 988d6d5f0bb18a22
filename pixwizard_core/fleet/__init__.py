"""Any number of pictures: found, grouped, processed by several workers, resumed, and listed."""
