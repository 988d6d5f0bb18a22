"""Text, vision and picture encoders as the host has them, and the conditionings they make."""
