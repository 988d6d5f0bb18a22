"""PixWizard without a host: image-to-image by instruction. Import what you need from its modules."""

__version__ = "0.1.0"
