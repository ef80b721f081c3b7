#!/usr/bin/env python3
"""Checks pgNN.jsonl against the captured text of every cell: a second implementation, by the
documentation of the values and not by the product's code, with Python's own numbers and calendar.

    oracle.py pg15 pg18
"""
import base64
import datetime
import decimal
import hashlib
import json
import pathlib
import re
import struct
import sys
import uuid

here = pathlib.Path(__file__).parent
PLACEHOLDER = "__debezium_unavailable_value"
EPOCH = datetime.date(1970, 1, 1)
decimal.getcontext().prec = 3000
TYPES = {
    16: "bool", 17: "bytea", 20: "int", 21: "int", 23: "int", 26: "int", 700: "float4", 701: "float8", 1700: "numeric",
    1082: "date", 1083: "time", 1266: "timetz", 1114: "timestamp", 1184: "timestamptz", 1560: "bit", 1562: "bit",
    600: "point", 790: "money", 1186: "interval",
}
TEXT = set(
    "text varchar bpchar char name inet cidr macaddr macaddr8 int4range int8range numrange tsrange tstzrange daterange"
    " xml uuid json jsonb citext isbn ltree tsvector".split()
)
NO_ARRAY = {"_xml", "_money", "_name", "_point", "_interval", "_varbit", "_refcursor"}
NO_NULLS = {"tsvector", "isbn", "ltree"}


def integer_bytes(number):
    length = 1
    while not -(1 << (8 * length - 1)) <= number < 1 << (8 * length - 1):
        length += 1
    return base64.b64encode(number.to_bytes(length, "big", signed=True)).decode()


def days(text):
    bc = text.endswith(" BC")
    year, month, day = (int(part) for part in text.removesuffix(" BC").split("-"))
    year = 1 - year if bc else year
    # Python knows the years 1 to 9999; the calendar repeats every 400.
    shift = 0
    while not 1 <= year <= 9999:
        step = 400 if year < 1 else -400
        year, shift = year + step, shift - step // 400 * 146097
    return (datetime.date(year, month, day) - EPOCH).days + shift, year, shift


def micros(text):
    hours, minutes, seconds = text.split(":")
    return int((int(hours) * 3600 + int(minutes) * 60) * 10**6 + decimal.Decimal(seconds) * 10**6)


def offset(text):
    parts = [int(part) for part in text[1:].split(":")] + [0, 0]
    east = parts[0] * 3600 + parts[1] * 60 + parts[2]
    return -east if text[0] == "-" else east


def stamp(text):
    match = re.fullmatch(r"(\d+-\d\d-\d\d) ([\d:.]+)([+-][\d:]+)?( BC)?", text)
    date, time, zone, era = match.groups()
    return days(date + (era or ""))[0] * 86400 * 10**6 + micros(time) - (offset(zone) if zone else 0) * 10**6


def iso(us, digits):
    day, rest = divmod(us, 86400 * 10**6)
    shift = 0
    while not -719162 <= day <= 2932896:
        step = 146097 if day < -719162 else -146097
        day, shift = day + step, shift - (400 if step > 0 else -400)
    date = EPOCH + datetime.timedelta(day)
    year = date.year + shift
    name = f"{year:04d}" if 0 <= year <= 9999 else f"+{year}" if year > 0 else f"-{-year:04d}"
    second, fraction = divmod(rest, 10**6)
    tail = f".{fraction:06d}"[: digits + 1] if digits else ""
    return f"{name}-{date.month:02d}-{date.day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{tail}Z"


def java(number, single):
    """Shortest digits that give the value back, in Java's layout: as the token of the JSON text."""
    if number != number or number in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(number)]
    size = range(1, 18)
    pack = (lambda x: struct.unpack("f", struct.pack("f", x))[0]) if single else float
    text = next(t for t in (f"{number:.{n - 1}e}" for n in size) if pack(float(t)) == number)
    mantissa, exponent = text.split("e")
    sign, digits, exponent = mantissa.startswith("-"), mantissa.replace(".", "").replace("-", ""), int(exponent)
    digits = digits.rstrip("0") or "0"
    if number == 0:
        body = "0.0"
    elif -3 <= exponent < 7:
        padded = digits.ljust(exponent + 1, "0") if exponent >= 0 else "0" * -exponent + digits
        point = max(exponent, 0) + 1
        body = padded[:point] + "." + (padded[point:] or "0")
    else:
        body = digits[0] + "." + (digits[1:] or "0") + "E" + str(exponent)
    return Token(("-" if sign or str(number) == "-0.0" else "") + body)


class Token(str):
    """A number's text."""


def java_order(words):
    """Keys as java.util.HashMap tells them: by bucket, then as inserted."""
    capacity = 16
    while len(words) > capacity * 3 // 4:
        capacity *= 2

    def bucket(word):
        code = 0
        units = word.encode("utf-16-be")
        for i in range(0, len(units), 2):
            code = (code * 31 + int.from_bytes(units[i : i + 2], "big")) & 0xFFFFFFFF
        return (code ^ code >> 16) & (capacity - 1)

    return sorted(words, key=bucket)


def hstore(text):
    word = r'"((?:[^"\\]|\\.)*)"'
    plain = lambda quoted: re.sub(r"\\(.)", r"\1", quoted)
    pairs = {plain(k): None if v == "NULL" else plain(q) for k, v, q in re.findall(f"{word}=>(NULL|{word})", text)}
    ordered = {key: pairs[key] for key in java_order(list(pairs))}
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)


def interval(text):
    years = months = days = 0
    clock = (0, 0, 0.0)
    words = text.split()
    while words:
        word = words.pop(0)
        if ":" in word:
            sign = -1 if word[0] == "-" else 1
            hours, minutes, seconds = word.lstrip("+-").split(":")
            whole, fraction = (seconds + ".0").split(".")[:2]
            clock = (sign * int(hours), sign * int(minutes), sign * int(whole) + sign * int(fraction.ljust(6, "0")) / 1000000.0)
            continue
        unit = words.pop(0).rstrip("s")
        years, months, days = years + int(word) * (unit == "year"), months + int(word) * (unit == "mon"), days + int(word) * (unit == "day")
    total = ((((years * 12 + months) * 30.4375 + days) * 24 + clock[0]) * 60 + clock[1]) * 60 + clock[2]
    return Token(min(max(int(total * 1e6), -(2**63)), 2**63 - 1))


def point(x, y):
    wkb = base64.b64encode(b"\1\1\0\0\0" + struct.pack("<dd", x, y)).decode()
    return {"x": java(x, False), "y": java(y, False), "wkb": wkb, "srid": None}


def elements(text, delimiter):
    """An array as a list of texts, None for NULL, lists for inner arrays."""
    at = text.index("{")

    def inner(at):
        result, at = [], at + 1
        while text[at] != "}":
            if text[at] == "{":
                item, at = inner(at)
            elif text[at] == '"':
                quoted = re.compile(r'"((?:[^"\\]|\\.)*)"').match(text, at)
                item, at = re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
            else:
                bare = re.compile(f"[^{delimiter}}}]+").match(text, at)
                item, at = None if bare[0] == "NULL" else bare[0], bare.end()
            result.append(item)
            at += text[at] == delimiter
        return result, at + 1

    return inner(at)[0]


def array(text, kind, typmod, delimiter, nulls):
    """None: the conversion fails."""
    result = []
    for item in elements(text, delimiter):
        told = None if item is None or isinstance(item, list) else value(item, kind, typmod)
        if told is None and (not nulls or isinstance(item, str)):
            return None
        result.append(told)
    return result


def placeholder(name, kind):
    """Of unchanged TOAST, by the type's name."""
    data = PLACEHOLDER.encode()
    numbers = [Token(byte) for byte in data]
    if name.startswith("_"):
        return {
            "_text": [PLACEHOLDER], "_varchar": [PLACEHOLDER], "_bpchar": [PLACEHOLDER], "_json": [PLACEHOLDER],
            "_jsonb": [PLACEHOLDER], "_bytea": [base64.b64encode(data).decode()], "_int4": numbers, "_int8": numbers,
            "_date": numbers, "_uuid": [str(uuid.UUID(bytes=hashlib.md5(data).digest(), version=3))],
        }.get(name)
    if kind == "hstore":
        return json.dumps({PLACEHOLDER: PLACEHOLDER}, separators=(",", ":"))
    return {"bytea": base64.b64encode(data).decode(), "text": PLACEHOLDER}.get(kind)


def value(text, kind, typmod):
    if isinstance(kind, tuple):
        return array(text, kind[1], typmod, *kind[2:])
    if kind == "nothing":
        return None
    if kind == "hstore":
        return hstore(text)
    if kind == "interval":
        return interval(text)
    if kind == "money":
        cents = int(re.sub(r"\D", "", text))
        return integer_bytes(-cents if "-" in text else cents)
    if kind == "point":
        return point(*(float(part) for part in text.strip("()").split(",")))
    if kind == "bool":
        return text == "t"
    if kind == "int":
        return Token(text)
    if kind in ("float4", "float8"):
        number = float(text.replace("Infinity", "inf"))
        return java(struct.unpack("f", struct.pack("f", number))[0] if kind == "float4" else number, kind == "float4")
    if kind == "numeric":
        if not re.fullmatch(r"-?[\d.]+", text):
            return None
        number = decimal.Decimal(text)
        if typmod == -1:
            number = number.normalize() if number else decimal.Decimal(0)
            scale = max(-number.as_tuple().exponent, 0)
            return {"scale": Token(scale), "value": integer_bytes(int(number.scaleb(scale)))}
        scale = (typmod - 4) & 0x7FF
        return integer_bytes(int(number.scaleb(scale if scale < 1024 else 0)))
    if kind == "bytea":
        return base64.b64encode(bytes.fromhex(text[2:])).decode()
    if kind == "bit":
        if typmod == 1:
            return text == "1"
        number = int(text or "0", 2)
        return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "little")).decode()
    if kind == "date":
        fixed = {"infinity": -2147472692, "-infinity": -2147472691}
        return Token(fixed.get(text) or days(text)[0])
    if kind in ("time", "timestamp"):
        small = 0 <= typmod <= 3
        if kind == "time":
            us = micros(text)
        else:
            fixed = {"infinity": 9223372036825200000, "-infinity": -9223372036832400000}
            us = fixed[text] if text in fixed else stamp(text)
        if small:
            us //= 1000
        return Token(us)
    if kind == "timetz":
        time, zone = re.fullmatch(r"([\d:.]+)([+-][\d:]+)", text).groups()
        us = micros(time) - offset(zone) * 10**6
        us = us if offset(zone) == 0 else us % (86400 * 10**6)
        second, fraction = divmod(us, 10**6)
        tail = f".{fraction:06d}".rstrip("0").rstrip(".")
        return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{tail}Z"
    if kind == "timestamptz":
        return text if "infinity" in text else iso(stamp(text), 6 if typmod < 0 else typmod)
    return text


FALLBACK = {
    "bool": False, "int": Token(0), "numeric": "AA==", "timestamptz": "1970-01-01T00:00:00Z", "money": "AA==",
    "interval": Token(0), "hstore": "{}", "point": point(0.0, 0.0),
}
DEFAULTS = {
    "5": Token(5), "now()": Token(0), "'1 day'::interval": Token(86400 * 10**6), "'it''s \"ok\"'::mood": "it's \"ok\"",
}


def check(name):
    types, not_null, defaults, tables, rows, snapshot, keys = {}, set(), {}, {}, [], [], {}

    def cells(data, at, tagged):
        (count,) = struct.unpack_from("!H", data, at)
        at, result = at + 2, []
        for _ in range(count):
            tag = data[at : at + 1] if tagged else b"t"
            at += 1 if tagged else 0
            if tag != b"t":
                result.append({b"n": None, b"u": ...}[tag])
                continue
            (length,) = struct.unpack_from("!i", data, at)
            at += 4
            result.append(None if length < 0 else data[at : at + length].decode())
            at += max(length, 0)
        return result, at

    def form(oid, in_array=False):
        """A kind of `value`, or None: the column is absent."""
        name, typtype, _, _, element, delimiter = types[oid]
        if oid in TYPES:
            return TYPES[oid]
        if element and name not in ("int2vector", "oidvector"):
            inner = None if name in NO_ARRAY or types[element][1] == "d" else form(element, True)
            if inner == "bit":
                return "nothing"
            nulls = types[element][0] not in NO_NULLS and types[element][1] != "e"
            return inner and ("array", inner, delimiter, nulls)
        return "hstore" if name == "hstore" else "text" if typtype == "e" or name in TEXT else None

    def record(table, texts, old=None):
        result = {}
        for i, (label, oid, typmod, flag) in enumerate(tables[table]["columns"]):
            text = texts[i]
            while types[oid][1] == "d":
                oid, typmod = types[oid][2:4]
            kind = form(oid)
            if kind is None:
                continue
            if text is ... and old is not None and old[i] is not None:
                text = old[i]
            if text is ...:
                result[label] = placeholder(types[oid][0], kind)
            elif text is None:
                default = DEFAULTS.get(defaults.get((table, label)))
                fallback = [] if isinstance(kind, tuple) else FALLBACK.get(kind, "")
                fallback = fallback if (table, label) in not_null else None
                result[label] = default if default is not None else fallback
            else:
                result[label] = value(text, kind, typmod)
        return result

    def key(table, image):
        return {label: image[label] for label in keys[table]} if keys[table] else None

    for line in (here / f"{name}.capture").read_text().splitlines():
        word = line.split(" ")
        if word[0] == "T":
            types[int(word[1])] = (word[2], word[3], int(word[4]), int(word[5]), int(word[6]), word[7])
        elif word[0] == "C":
            default = json.loads(" ".join(word[5:]))
            if word[4] == "t":
                not_null.add((word[2], word[3]))
            if default is not None:
                defaults[word[2], word[3]] = default
        elif word[0] == "K":
            keys[word[2]] = word[3:]
        elif word[0] == "S":
            snapshot.append((word[2], bytes.fromhex(word[3])))
        else:
            rows.append((word[1], bytes.fromhex(word[2])))

    wanted, commit = [], None
    oids = {}
    for lsn, data in rows:
        high, low = lsn.split("/")
        lsn = int(high, 16) << 32 | int(low, 16)
        kind = data[:1]
        if kind == b"B":
            _, time, xid = struct.unpack_from("!QqI", data, 1)
            head = (time + 946684800 * 10**6, xid, commit)
        elif kind == b"C":
            commit = lsn
        elif kind == b"R":
            parts = data[5:].split(b"\0", 2)
            table, rest = parts[1].decode(), parts[2]
            (count,) = struct.unpack_from("!H", rest, 1)
            at, columns = 3, []
            for _ in range(count):
                flag, end = rest[at], rest.index(b"\0", at + 1)
                columns.append((rest[at + 1 : end].decode(), *struct.unpack_from("!Ii", rest, end + 1), flag))
                at = end + 9
            oids[data[1:5]] = table
            tables[table] = {"columns": columns}
        elif kind == b"T":
            for i in range(struct.unpack_from("!I", data, 1)[0]):
                wanted.append((oids[data[6 + 4 * i : 10 + 4 * i]], "t", None, None, None, None, lsn, head))
        elif kind in b"IUD":
            table, at, old, before = oids[data[1:5]], 5, None, None
            if data[at : at + 1] in (b"K", b"O"):
                old, at = cells(data, at + 1, True)
                before = record(table, old)
            if kind == b"D":
                wanted.append((table, "d", key(table, before), None, before, None, lsn, head))
                wanted.append((table, "", key(table, before), None, None, None, lsn, head))
                continue
            new, at = cells(data, at + 1, True)
            after = record(table, new, old)
            now, was = key(table, after), key(table, before) if before else None
            if kind == b"U" and before and was != now:
                change = ("newkey", now)
                wanted.append((table, "d", was, change, before, None, lsn, head))
                wanted.append((table, "", was, change, None, None, lsn, head))
                wanted.append((table, "c", now, ("oldkey", was), None, after, lsn, head))
            else:
                op = "c" if kind == b"I" else "u"
                wanted.append((table, op, now, None, before, after, lsn, head))
    for table, data in snapshot:
        after = record(table, cells(data, 0, False)[0])
        wanted.append((table, "r", key(table, after), None, None, after, 1 << 24, (1795555555123455, 7, None)))

    lines = (here / f"{name}.jsonl").read_text().split("\n")[:-1]
    assert len(lines) == len(wanted), (len(lines), len(wanted))
    for number, (line, (table, op, the_key, change, before, after, lsn, head)) in enumerate(zip(lines, wanted), 1):
        got = json.loads(line, parse_int=Token, parse_float=Token)
        us, xid, last = head
        want = {"topic": f"golden.public.{table}", "key": the_key}
        if change:
            want["headers"] = {change[0]: change[1]}
        want["value"] = op and {
            "before": before,
            "after": after,
            "source": {
                "version": "V", "connector": "postgresql", "name": "golden", "ts_ms": Token(us // 1000),
                "snapshot": "true" if op == "r" else "false", "db": "golden",
                "sequence": json.dumps([str(last) if last else None, str(lsn)], separators=(",", ":")),
                "ts_us": Token(us), "ts_ns": Token(us * 1000), "schema": "public", "table": table, "txId": Token(xid),
                "lsn": Token(lsn), "xmin": None, "origin": None, "origin_lsn": None,
            },
            "transaction": None, "op": op,
            "ts_ms": Token(1795555555123), "ts_us": Token(1795555555123456), "ts_ns": Token(1795555555123456000),
        } or None
        if json.dumps(got) != json.dumps(want):
            print(f"{name}.jsonl:{number}")
            if got["value"] and want["value"]:
                for part in want["value"]:
                    if got["value"][part] != want["value"][part]:
                        a, b = got["value"][part], want["value"][part]
                        print("  ", part, [(k, a[k], b[k]) for k in b if a.get(k) != b[k]] if isinstance(b, dict) and isinstance(a, dict) else (a, b))
            print("  ", {k: (got.get(k), want[k]) for k in want if k != "value" and got.get(k) != want[k]})
            sys.exit(1)
    print(f"{name}: {len(lines)} records agree")


for which in sys.argv[1:]:
    check(which)
