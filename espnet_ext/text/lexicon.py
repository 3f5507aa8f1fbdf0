"""Words behind abbreviations, units, currencies and symbols of English text."""

from __future__ import annotations

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]

# short form without its full stop -> month
SHORT_MONTHS = {month[:3]: month for month in MONTHS} | {"Sept": "September"}

# written with a full stop, as listed here -> spoken
TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miss",
    "Messrs": "Messieurs",
    "Drs": "Doctors",
    "Prof": "Professor",
    "Gen": "General",
    "Col": "Colonel",
    "Maj": "Major",
    "Capt": "Captain",
    "Lt": "Lieutenant",
    "Sgt": "Sergeant",
    "Rev": "Reverend",
    "Hon": "Honorable",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Pres": "President",
    "Mt": "Mount",
}
ABBREVIATIONS = {
    "Jr": "Junior",
    "Sr": "Senior",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Corp": "Corporation",
    "Co": "Company",
    "Bros": "Brothers",
    "Esq": "Esquire",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Dept": "Department",
    "dept": "department",
    "approx": "approximately",
    "etc": "et cetera",
    "vs": "versus",
    "Vol": "Volume",
    "vol": "volume",
    "i.e": "that is",
    "e.g": "for example",
}

# unit -> one of it, spoken; after a number
UNITS = {
    "mg": "milligram",
    "g": "gram",
    "kg": "kilogram",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "km": "kilometer",
    "ml": "milliliter",
    "l": "liter",
    "L": "liter",
    "mi": "mile",
    "ft": "foot",
    "yd": "yard",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ms": "millisecond",
    "s": "second",
    "sec": "second",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "KB": "kilobyte",
    "kB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "W": "watt",
    "kW": "kilowatt",
    "V": "volt",
    "dB": "decibel",
    "°C": "degree Celsius",
    "°F": "degree Fahrenheit",
    "°": "degree",
    "m^2": "square meter",
    "km^2": "square kilometer",
    "m^3": "cubic meter",
    "km/h": "kilometer per hour",
    "m/s": "meter per second",
    "mph": "mile per hour",
}

# sign -> (one, a hundredth of it)
CURRENCIES = {
    "$": ("dollar", "cent"),
    "£": ("pound", "penny"),
    "€": ("euro", "cent"),
    "¥": ("yen", "sen"),
}
CURRENCY_PLURALS = {"penny": "pence", "yen": "yen", "sen": "sen"}

# signs that are left when all numbers are words
SYMBOLS = {
    "&": "and",
    "%": "percent",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "#": "number",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
    "¥": "yen",
    "¢": "cents",
    "°": "degrees",
    "×": "times",
    "÷": "divided by",
    "§": "section",
    "©": "copyright",
    "®": "",
    "~": "",
    "^": "",
    "*": "",
    "_": "",
    "|": "",
    "\\": "",
    "/": "",
}

# typographic signs -> the plain ones
FOLDING = {
    "‘": "'",
    "’": "'",
    "‚": "'",
    "‛": "'",
    "′": "'",
    "`": "'",
    "´": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "‟": '"',
    "″": '"',
    "«": '"',
    "»": '"',
    "‐": "-",
    "‑": "-",
    "‒": "-",
    "–": "-",
    "—": " - ",
    "―": " - ",
    "−": "-",
    "…": "...",
    "⁄": "/",
    "∕": "/",
    "²": "^2",
    "³": "^3",
    "\u00ad": "",
    "\u200b": "",
    "\u200c": "",
    "\u200d": "",
    "\u2060": "",
    "\ufeff": "",
}

# -- what NeMo's English grammars miss: see espnet_ext.text.mend -----------------------------------

# unit that they spell letter by letter -> one of it and many of it
UNREAD_UNITS = {
    "g": ("gram", "grams"),
    "µg": ("microgram", "micrograms"),
    "kgs": ("kilogram", "kilograms"),
    "mm": ("millimeter", "millimeters"),
    "µm": ("micrometer", "micrometers"),
    "m": ("meter", "meters"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    "mL": ("milliliter", "milliliters"),
    "ha": ("hectare", "hectares"),
    "ms": ("millisecond", "milliseconds"),
    "h": ("hour", "hours"),
    "secs": ("second", "seconds"),
    "mins": ("minute", "minutes"),
    "hrs": ("hour", "hours"),
    "wks": ("week", "weeks"),
    "mos": ("month", "months"),
    "yrs": ("year", "years"),
    "kHz": ("kilohertz", "kilohertz"),
    "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "W": ("watt", "watts"),
    "MW": ("megawatt", "megawatts"),
    "Wh": ("watt hour", "watt hours"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "MWh": ("megawatt hour", "megawatt hours"),
    "mAh": ("milliampere hour", "milliampere hours"),
    "V": ("volt", "volts"),
    "mV": ("millivolt", "millivolts"),
    "kV": ("kilovolt", "kilovolts"),
    "mA": ("milliampere", "milliamperes"),
    "Ω": ("ohm", "ohms"),
    "dB": ("decibel", "decibels"),
    "hPa": ("hectopascal", "hectopascals"),
    "kPa": ("kilopascal", "kilopascals"),
    "Nm": ("newton meter", "newton meters"),
    "kJ": ("kilojoule", "kilojoules"),
    "cal": ("calorie", "calories"),
    "kcal": ("kilocalorie", "kilocalories"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"),
    "ppm": ("part per million", "parts per million"),
    "dpi": ("dot per inch", "dots per inch"),
    "px": ("pixel", "pixels"),
}
# unit that they read alone, but not after or before a stroke
READ_UNITS = {
    "mg": ("milligram", "milligrams"),
    "kg": ("kilogram", "kilograms"),
    "cm": ("centimeter", "centimeters"),
    "km": ("kilometer", "kilometers"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "ml": ("milliliter", "milliliters"),
    "dl": ("deciliter", "deciliters"),
    "lb": ("pound", "pounds"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "s": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "hr": ("hour", "hours"),
    "day": ("day", "days"),
    "m²": ("square meter", "square meters"),
    "m³": ("cubic meter", "cubic meters"),
    "cm²": ("square centimeter", "square centimeters"),
    "cm³": ("cubic centimeter", "cubic centimeters"),
    "km²": ("square kilometer", "square kilometers"),
    "s²": ("second squared", "seconds squared"),
}

# currency code after an amount -> spoken; sign before it
CURRENCY_CODES = {
    "USD": "dollars",
    "EUR": "euros",
    "GBP": "pounds",
    "JPY": "yen",
    "CHF": "francs",
    "CAD": "Canadian dollars",
    "AUD": "Australian dollars",
    "INR": "rupees",
    "SEK": "kronor",
    "DKK": "kroner",
    "NOK": "kroner",
    "CNY": "yuan",
}

# signs between two numbers -> spoken
OPERATORS = {
    "−": "minus",
    "∕": "divided by",
    "÷": "divided by",
    "∗": "times",
    "∙": "times",
    "⋅": "times",
    "×": "times",
    "±": "plus or minus",
    "≤": "less than or equal to",
    "≦": "less than or equal to",
    "≥": "greater than or equal to",
    "≧": "greater than or equal to",
    "≠": "not equal to",
    "≈": "approximately equal to",
    "⊆": "subset of or equal to",
    "⋈": "natural join",
}

WEEKDAYS = {
    "Mon": "Monday",
    "Tue": "Tuesday",
    "Tues": "Tuesday",
    "Wed": "Wednesday",
    "Thu": "Thursday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
    "Fri": "Friday",
    "Sat": "Saturday",
    "Sun": "Sunday",
}

# with their full stop, after a name -> spoken
STREETS = {
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Ln": "Lane",
    "Hwy": "Highway",
    "Pkwy": "Parkway",
    "Sq": "Square",
    "Pl": "Place",
    "Ct": "Court",
    "Dr": "Drive",
}

# with their full stop, before a number -> spoken
REFERENCES = {
    "p": "page",
    "pp": "pages",
    "fig": "figure",
    "figs": "figures",
    "sec": "section",
    "ch": "chapter",
    "chap": "chapter",
    "eq": "equation",
    "vol": "volume",
    "vols": "volumes",
    "art": "article",
    "para": "paragraph",
    "ext": "extension",
    "no": "number",
    "nos": "numbers",
    "ca": "circa",
    "approx": "approximately",
}

# with their full stop, anywhere -> spoken
SHORT_WORDS = {
    "approx": "approximately",
    "dept": "department",
    "univ": "university",
    "govt": "government",
    "misc": "miscellaneous",
    "assn": "association",
    "intl": "international",
    "natl": "national",
    "bldg": "building",
    "etc": "et cetera",
    "viz": "namely",
    "cf": "compare",
}

# a roman numeral after one of these is an ordinal ("Henry the eighth") ...
REIGNS = (
    "Alexander Alfonso Benedict Carl Catherine Charles Christian Clement Edward Elizabeth Ferdinand "
    "Francis Frederick George Gregory Gustav Henry Innocent Ivan James Leo Leopold Louis Margaret "
    "Mary Napoleon Nicholas Otto Paul Pedro Peter Philip Pius Ramses Richard Robert Rudolf Urban "
    "Victor Wilhelm William"
).split()
# ... and after one of these a number ("chapter four")
NUMBERED = (
    "Act Annex Appendix Apollo Article Book Bowl Canto Chapter Class Division Episode Figure Grade "
    "Group Level Lesson Mark Part Phase Psalm Rocky Scene Section Sonata Stage Symphony Table Title "
    "Type Unit Vol Volume War"
).split()
