"""stock_*.py are programs that tests start: collecting them would import all of ESPnet."""

collect_ignore = ["stock_side.py", "stock_trains.py"]
