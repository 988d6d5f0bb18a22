"""Networks that measure pictures. Each is loaded from a file or folder that the user has put below
--weights; the extra `metrics` installs their packages."""
