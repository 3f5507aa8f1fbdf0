"""stock_side.py is a program that a test starts: collecting it would import all of ESPnet."""

collect_ignore = ["stock_side.py"]
