"""What we use of ComfyUI besides its models: files, patchers, memory and progress."""
