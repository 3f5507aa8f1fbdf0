"""What stock ESPnet learns besides dotted paths."""

import subprocess
import sys


def test_stock_cleaner_learns_ours():
    code = (
        "import espnet_ext\n"
        "from espnet2.text.cleaner import TextCleaner\n"
        "print(TextCleaner('normalize')('Dr. Smith paid $25.'), TextCleaner(None)('a 1'), sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Doctor Smith paid twenty-five dollars.|a 1"
