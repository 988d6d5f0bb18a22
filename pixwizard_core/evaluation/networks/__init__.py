"""Networks that measure pictures. Each is loaded from a file or folder that a person has put below
--weights; the packages behind them are the extra `metrics`."""
