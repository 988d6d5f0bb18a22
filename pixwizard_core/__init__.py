"""PixWizard without a host: image-to-image by instruction. Its modules are the interface."""

__version__ = "0.1.0"
