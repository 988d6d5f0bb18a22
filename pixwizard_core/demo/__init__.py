"""The demonstration: twelve tasks on one rendered room, with scores."""
