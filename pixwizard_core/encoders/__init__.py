"""Text, image and latent encoders around the diffusion transformer."""
