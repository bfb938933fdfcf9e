"""How good it is: every row predicted before it is learned, measured once its label has settled, and the calibrator's curves."""
