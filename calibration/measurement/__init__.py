"""What is read of a device is its state plus read noise: both, and the steps between states, are estimated together."""
