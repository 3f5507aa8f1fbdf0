"""Words behind notations of English that NeMo's grammars miss: see `espnet_ext.text.mend`."""

from __future__ import annotations

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
    "MP": ("megapixel", "megapixels"),
    "fps": ("frame per second", "frames per second"),
    "nm": ("nanometer", "nanometers"),
    "ns": ("nanosecond", "nanoseconds"),
    "mcg": ("microgram", "micrograms"),
    "cl": ("centiliter", "centiliters"),
    "tbsp": ("tablespoon", "tablespoons"),
    "tbsps": ("tablespoon", "tablespoons"),
    "Tbsp": ("tablespoon", "tablespoons"),
    "tsp": ("teaspoon", "teaspoons"),
    "tsps": ("teaspoon", "teaspoons"),
    "fl oz": ("fluid ounce", "fluid ounces"),
    "fl. oz": ("fluid ounce", "fluid ounces"),
    "gal": ("gallon", "gallons"),
    "qt": ("quart", "quarts"),
    "qts": ("quart", "quarts"),
    "blks": ("block", "blocks"),
    "ng": ("nanogram", "nanograms"),
    "pts": ("point", "points"),
    "yds": ("yard", "yards"),
    "doz": ("dozen", "dozen"),
    "bps": ("basis point", "basis points"),
    "degrees F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "degrees C": ("degree Celsius", "degrees Celsius"),
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
# after a number, and with a full stop that ends no sentence if a small letter or a comma follows
DOTTED_UNITS = (
    "tbsp tbsps Tbsp tsp tsps oz lb lbs gal qt qts blks pt pts ft yd yds mi min mins hr hrs sec secs wk wks mo mos yr "
    "yrs doz cm mm km kg ml"
).split()
# after a number and a hyphen
HYPHENED_UNITS = {
    "in": "inch",
    "ft": "foot",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "gal": "gallon",
    "mi": "mile",
    "yd": "yard",
    "yr": "year",
    "mo": "month",
    "wk": "week",
    "hr": "hour",
    "min": "minute",
    "sec": "second",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "km": "kilometer",
    "kg": "kilogram",
    "mg": "milligram",
    "ml": "milliliter",
    "tbsp": "tablespoon",
    "tsp": "teaspoon",
}
# without a number of their own ("millions of yrs.") -> spoken
PLURALS = {"yrs": "years", "hrs": "hours", "mins": "minutes", "wks": "weeks", "lbs": "pounds"}
# after "sq." or "cu." and a number
AREAS = {
    "ft": "feet",
    "in": "inches",
    "yd": "yards",
    "yds": "yards",
    "mi": "miles",
    "m": "meters",
    "km": "kilometers",
    "cm": "centimeters",
}
# after a stroke, where the dollars or times before it are "per" it; other words stand for themselves
PER = {
    "hr": "hour",
    "h": "hour",
    "mo": "month",
    "yr": "year",
    "wk": "week",
    "min": "minute",
    "sec": "second",
    "gal": "gallon",
    "lb": "pound",
    "oz": "ounce",
    "kg": "kilogram",
    "g": "gram",
    "km": "kilometer",
    "mi": "mile",
    "ft": "foot",
    "m": "meter",
    "l": "liter",
    "kWh": "kilowatt hour",
    "GB": "gigabyte",
}

# before a dollar sign -> whose dollars
DOLLARS = {
    "US": "US dollars",
    "A": "Australian dollars",
    "AU": "Australian dollars",
    "C": "Canadian dollars",
    "CA": "Canadian dollars",
    "NZ": "New Zealand dollars",
    "HK": "Hong Kong dollars",
    "S": "Singapore dollars",
    "R": "reais",
}
# currency code before or after an amount -> spoken
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
    "pg": "page",
    "pgs": "pages",
    "ver": "version",
    "rte": "route",
    "apt": "apartment",
    "ste": "suite",
    "rm": "room",
    "tel": "telephone",
    "min": "minimum",
    "max": "maximum",
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
    "incl": "including",
    "excl": "excluding",
    "avg": "average",
    "asst": "assistant",
    "mgr": "manager",
    "mgmt": "management",
    "acct": "account",
    "qty": "quantity",
    "esp": "especially",
    "tel": "telephone",
    "doz": "dozen",
    "bros": "brothers",
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
