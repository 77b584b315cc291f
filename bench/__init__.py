"""What `make bench` measures. Figures are ratios to a baseline of the same run: absolute times depend on the machine."""
