"""More of what may go wrong with a download: time, garbage, redirects, TLS, the Hub, addresses, settings, proxies."""

from __future__ import annotations

from fault_server import OF_THE_PAST, OTHER_HOST, Answer, Fault, Place, Talk, read_request
from server_faults import NAMED, TLS, chunked, endless, first, in_turn, right, says, sends, silent, then_silent, to

OK = b"HTTP/1.1 200 OK\r\n"


def good(talk: Talk) -> None:
    """The right answer."""
    talk.good()


def slow() -> dict[str, Fault]:
    """Silence, and bytes that come too slowly or without end."""
    n = "Content-Length: {n}"
    rows: dict[str, tuple[Answer, bool]] = {
        "silent after the request": (silent, False),
        "silent after the request once": (first(silent), True),
        "silent in the status line": (then_silent(sends(b"HTTP/1.1 ")), False),
        "silent in the headers": (then_silent(sends(OK + b"A: b")), False),
        "silent behind the headers": (then_silent(right(n, cut=0)), False),
        "silent in the body": (then_silent(right(n, cut=0.3)), False),
        "silent in the body once": (first(then_silent(right(n, cut=0.3))), True),
        "silent before the last byte": (then_silent(right(n, cut=0.9999)), False),
        "silent behind the body": (then_silent(right(n)), True),
        "a status line, slowly": (lambda talk: talk.trickle(OK * 20, 0.05), False),
        "headers, slowly": (in_turn(sends(OK), lambda talk: talk.trickle(b"A: b\r\n" * 50, 0.05)), False),
        "a body, slowly": (in_turn(says(200), lambda talk: talk.trickle(talk.data, 0.05)), False),
        "chunks, slowly": (
            in_turn(chunked(lambda data: b""), lambda talk: talk.trickle(b"1\r\nx\r\n" * 999, 0.02)),
            False,
        ),
        "a late beginning": (in_turn(lambda talk: talk.wait(0.2), good), True),
        "headers without end": (in_turn(sends(OK), endless(b"A: b\r\n")), False),
        "one header without end": (in_turn(sends(OK + b"A: "), endless(b"x" * 99)), False),
        "a status line without end": (endless(b"HTTP/1.1 200 OK "), False),
        "Continue without end": (endless(b"HTTP/1.1 100 Continue\r\n\r\n"), False),
        "Continue, then the answer": (in_turn(says(100), good), True),
        "a thousand headers": (sends(OK + b"A: b\r\n" * 1000 + b"\r\n"), False),
        "redirect with an endless body": (
            in_turn(lambda talk: talk.head(302, f"Location: {talk.server.names['other']}/x/w.pt"), endless(b"x" * 999)),
            True,
        ),
    }
    return {name: Fault(kind="time", answer=answer, survives=good) for name, (answer, good) in rows.items()}


def garbage() -> dict[str, Fault]:
    """What is no answer of a web server, or a strange one."""
    rows: dict[str, tuple[Answer, bool]] = {
        "random bytes": (sends(bytes(range(256)) * 40), False),
        "zeros and nothing else": (endless(bytes(4096)), False),
        "an SSH server": (then_silent(sends(b"SSH-2.0-OpenSSH_9.9\r\n")), False),
        "a mail server": (sends(b"220 mail ESMTP\r\n"), False),
        "ICY": (sends(b"ICY 200 OK\r\n\r\n"), False),
        "HTTP 0.9": (lambda talk: talk.send(talk.data), False),
        "HTTP 2": (sends(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)), False),
        "HTTP 9.9": (sends(b"HTTP/9.9 200 OK\r\n\r\n"), False),
        "HTTP 1.0": (lambda talk: talk.send(b"HTTP/1.0 200 OK\r\n\r\n", talk.data), True),
        "status in words": (sends(b"HTTP/1.1 fine OK\r\n\r\n"), False),
        "status negative": (sends(b"HTTP/1.1 -20 OK\r\n\r\n"), False),
        "status of 30 digits": (sends(b"HTTP/1.1 " + b"2" * 30 + b" OK\r\n\r\n"), False),
        "status without words": (lambda talk: talk.send(b"HTTP/1.1 200\r\n\r\n", talk.data), True),
        "status 101": (says(101, "Upgrade: websocket", "Connection: Upgrade"), False),
        "a header without a colon": (right("what is this"), True),
        "headers with zeros": (right("A: \0\0"), True),
        "lines without returns": (lambda talk: talk.send(b"HTTP/1.1 200 OK\nA: b\n\n", talk.data), True),
        "empty lines first": (sends(b"\r\n\r\n\r\n"), False),
        "escapes of a terminal": (sends(b"\x1b[2J\x1b]0;x\x07 200 OK\r\n\r\n"), False),
    }  # fmt: skip
    return {name: Fault(kind="garbage", answer=answer, survives=good) for name, (answer, good) in rows.items()}


def leading_away() -> dict[str, Fault]:
    """Redirects, answered by the Hub itself, where the login goes."""
    targets: dict[str, tuple[str, bool]] = {
        "to itself": ("{plain}/{file}", False),
        "to another and back": ("{other}/owner/{turn}", False),
        "to ever new places": ("/owner/{turn}", False),
        "to an empty place": ("", False),
        "to a file": ("file:///etc/passwd", False),
        "to ftp": ("ftp://localhost/w.pt", False),
        "to data": ("data:,x", False),
        "to javascript": ("javascript:0", False),
        "to gopher": ("gopher://localhost:70/", False),
        "to another host": ("{other}/store/w.pt", True),
        "to another host, scheme kept": ("//localhost:{port}/store/w.pt", True),
        "to a path": ("/store/w.pt", True),
        "to a path beside it": ("../../../../store/w.pt", True),
        "to a path with spaces and letters": ("/store/a b/ü.pt", True),
        "to a query alone": ("?x=1", False),
        "to a host with a login": ("http://me:secret@localhost:{port}/store/w.pt", False),
        "to a host behind a login": ("http://127.0.0.1@localhost:{port}/store/w.pt", False),
        "to half an IPv6 number": ("http://[::1/w.pt", False),
        "to no IPv6 number": ("http://[zz]:80/w.pt", False),
        "to a port beyond all": ("http://localhost:99999/w.pt", False),
        "to port 0": ("http://localhost:0/w.pt", False),
        "to a port in words": ("http://localhost:http/w.pt", False),
        "to a closed port": ("{closed}/w.pt", False),
        "to a label of 64 letters": (f"http://{'a' * 64}.example/w.pt", False),
        "to a name of 300 letters": (f"http://{'a.' * 150}example/w.pt", False),
        "to an empty label": ("http://a..b/w.pt", False),
        "to a name with a space": ("http://local host/w.pt", False),
        "to no host": ("http:///w.pt", True),
        "to a name that nobody has": ("http://nobody.invalid/w.pt", False),
        "to emoji": ("http://\U0001f600.invalid/w.pt", False),
        "to an address of 9,000 letters": ("/" + "a" * 9000, False),
        "to an address with controls": ("/store/\x1b[31m\x00w.pt", False),
        "to https with nobody": ("https://localhost:{port}/w.pt", False),
        "to a machine that is full": ("{full}/w.pt", False),
        "to https of a stranger": ("{tls}/store/w.pt", False),
    }
    rows = {
        name: Fault(
            kind="redirects", place="hub", survives=good, answer=to(where.encode().decode("latin-1").replace("\\", ""))
        )
        for name, (where, good) in targets.items()
    }
    for status in (301, 303, 307, 308):
        rows[f"with status {status}"] = Fault(
            kind="redirects", place="hub", answer=to("{other}/store/w.pt", status), survives=True
        )
    rows["to https that is known"] = Fault(
        kind="redirects", place="hub", answer=to("{tls}/store/w.pt"), survives=True, environment=TLS
    )
    rows["from https to http"] = Fault(
        kind="redirects", place="plain", answer=to("{plain}/good/w.pt"), address="{tls}" + NAMED, environment=TLS
    )
    rows["from https to another port"] = Fault(
        kind="redirects", place="plain", address="{tls}" + NAMED, environment=TLS,
        answer=to("https://localhost:{port}/good/w.pt"),
    )  # fmt: skip
    rows["three times, then there"] = Fault(
        kind="redirects", place="hub", survives=True,
        answer=lambda talk: to("/owner/{turn}" if talk.turn < 4 else "{other}/store/w.pt")(talk),
    )  # fmt: skip
    rows["of the headers, to itself"] = Fault(kind="redirects", place="head", answer=to("{plain}/{file}"))
    rows["without a place"] = Fault(kind="redirects", place="hub", answer=says(302, "Content-Length: 0"))
    return rows


def hub_headers() -> dict[str, Fault]:
    """Wrong headers of a file on the Hub, from which its size and hash are read before anything is fetched."""
    sha, place = "ab" * 32, "Location: http://localhost:1/"
    rows: dict[str, Answer] = {
        "another size": says(302, place, "X-Linked-Size: 5"),
        "a size in words": says(302, place, "X-Linked-Size: large"),
        "a size without end": says(302, place, "X-Linked-Size: " + "9" * 5000),
        "another hash": says(302, place, f'X-Linked-Etag: "{sha}"'),
        "another hash, weak": says(302, place, f'ETag: W/"{sha}"'),
        "not found": says(404, "X-Error-Code: EntryNotFound", "X-Error-Message: \x1b[31mno"),
        "a gate": says(403, "X-Error-Code: GatedRepo"),
        "no HEAD": says(405, "Content-Length: 0"),
        "silence": silent,
        "garbage": sends(b"\x16\x03\x01" * 30),
        "a login page": says(307, "Location: https://localhost:1/login"),
        "a file of another length": says(200, "Content-Length: 5"),
    }
    known = {"a login page"}  # on another host: the content itself is asked for, and it is right
    found = {
        name: Fault(kind="Hub", place="head", answer=answer, survives=name in known) for name, answer in rows.items()
    }
    unsized: dict[str, tuple[Answer, bool, str]] = {
        "right": (good, True, ""),
        "right, at a plain address": (good, True, "{plain}" + NAMED),
        "endless": (in_turn(says(200), endless(b"x" * 999)), False, ""),
        "endless, at a plain address": (in_turn(says(200), endless(b"x" * 999)), False, "{plain}" + NAMED),
        "10^14 bytes, at a plain address": (says(200, "Content-Length: 1" + "0" * 14), False, "{plain}" + NAMED),
        "5 bytes, at a plain address": (says(200, "Content-Length: 5", body=b"12345"), False, "{plain}" + NAMED),
    }
    for name, (answer, survives, address) in unsized.items():
        place: Place = "plain" if address else "store"
        found[f"a card without a size: {name}"] = Fault(
            kind="Hub", answer=answer, survives=survives, place=place, address=address, sized=False
        )
    return found


def with_tls() -> dict[str, Fault]:
    """Certificates and handshakes."""
    address = "{tls}" + NAMED
    on_plain = "https://localhost:{port}" + NAMED
    alert = b"\x15\x03\x03\x00\x02\x02\x28"
    raw: dict[str, Answer] = {
        "a silent plain port": silent,
        "a plain port that answers": sends(b"HTTP/1.1 400 Bad\r\n\r\n"),
        "a plain port that closes": lambda talk: None,
        "a port that resets": lambda talk: talk.reset(),
        "an alert": sends(alert),
        "half a hello": then_silent(sends(b"\x16\x03\x03\x40\x00\x02")),
        "a hello, slowly": lambda talk: talk.trickle(b"\x16\x03\x03\x40\x00\x02" + bytes(500), 0.05),
        "endless garbage": endless(b"\x17\x03\x03\x00\x10" * 99),
    }
    rows = {
        f"https at {name}": Fault(kind="TLS", place="raw", answer=answer, address=on_plain)
        for name, answer in raw.items()
    }
    rows["http at a TLS port"] = Fault(kind="TLS", address="http://localhost:{tls_port}" + NAMED)
    rows["an unknown certificate"] = Fault(kind="TLS", address=address)
    for name, certificate in {"of another host": OTHER_HOST, "of the past": OF_THE_PAST}.items():
        rows[f"a certificate {name}"] = Fault(
            kind="TLS", address=address, environment=TLS, certificate=certificate
        )  # fmt: skip
    rows["a certificate that is known"] = Fault(kind="TLS", address=address, environment=TLS, survives=True)
    rows["TLS cut in the middle once"] = Fault(
        kind="TLS", address=address, environment=TLS, survives=True, place="plain",
        answer=lambda talk: talk.good(most=len(talk.data) // 2 if talk.turn == 1 else None),
    )  # fmt: skip
    rows["TLS silent in the body"] = Fault(
        kind="TLS",
        address=address,
        environment=TLS,
        place="plain",
        answer=then_silent(right("Content-Length: {n}", cut=0.3)),
    )
    return rows


def addresses() -> dict[str, Fault]:
    """Addresses in cards that nobody can ask."""
    rows = {
        "no scheme": "localhost/w.pt",
        "ftp": "ftp://localhost/w.pt",
        "a file": "file:///etc/passwd",
        "half an IPv6 number": "https://[::1/w.pt",
        "no IPv6 number": "https://[zz]/w.pt",
        "empty brackets": "https://[]/w.pt",
        "a port in words": "https://localhost:https/w.pt",
        "a port beyond all": "https://localhost:99999/w.pt",
        "a negative port": "https://localhost:-1/w.pt",
        "a label of 64 letters": f"https://{'a' * 64}.example/w.pt",
        "a long name in other letters": f"https://{'ü' * 70}.example/w.pt",
        "empty labels": "https://a..example/w.pt",
        "no host": "https:///w.pt",
        "a name nobody has": "http://nobody.invalid/w.pt",
        "emoji": "http://\U0001f600.invalid/w.pt",
        "a login": "http://me:secret@localhost/w.pt",
        "spaces": "https://local host/w.pt",
        "nothing": "https://",
        "a closed port": "{closed}/w.pt",
        "a machine that is full": "{full}/w.pt",
        "dots": "https://.../w.pt",
        "a zone": "http://[fe80::1%25zz]/w.pt",
        "stars": "https://*/w.pt",
    }
    return {name: Fault(kind="addresses", address=address) for name, address in rows.items()}


def settings() -> dict[str, Fault]:
    """Variables of the environment that mean nothing, for certificates, the Hub and proxies."""
    at = "{plain}" + NAMED
    tls = "{tls}" + NAMED
    hub = {
        "HF_ENDPOINT": ("huggingface.co", "ftp://localhost", "http://[::1", "nonsense", "http://a..b", "http://{{x}}"),
        "HF_TOKEN": ("hf_sécret", "hf_secret\u2028x", "hf secret\x1b[31m"),
        "HF_HUB_ETAG_TIMEOUT": ("soon", "-1", "nan", "1e400", "0"),
        "HF_HUB_DOWNLOAD_TIMEOUT": ("ten", "-5", "2.5"),
    }
    rows = {
        f"{name}={value!a}": Fault(kind="settings", environment={name: value})
        for name, values in hub.items()
        for value in values
    }
    for name, value in {
        "of nowhere": "/nowhere/ca.pem", "of a device": "/dev/null", "of text": __file__, "of no name": "\udcff",
    }.items():  # fmt: skip
        rows[f"SSL_CERT_FILE {name}"] = Fault(kind="settings", address=tls, environment={"SSL_CERT_FILE": value})
    rows["REQUESTS_CA_BUNDLE of nowhere"] = Fault(
        kind="settings", address=tls, environment={"REQUESTS_CA_BUNDLE": "/nowhere"}
    )
    proxies = (
        "socks://localhost:1",
        "socks5h://me:secret@localhost:1",
        "https://localhost:1",
        "http://[::1",
        "http://",
        "http://localhost:port",
        "nonsense:x",
        "{closed}",
        "{full}",
        "ftp://localhost",
        "http://a..b",
    )
    for value in proxies:
        rows[f"proxy {value}"] = Fault(kind="proxies", address=at, environment={"ALL_PROXY": value, "NO_PROXY": ""})
    through = {"HTTPS_PROXY": "http://me:secret@127.0.0.1:{port}", "NO_PROXY": "", **TLS}
    answers: dict[str, tuple[Answer, bool]] = {
        "refuses": (says(407, "Content-Length: 0"), False),
        "is silent": (silent, False),
        "closes": (lambda talk: None, False),
        "sends headers without end": (in_turn(sends(OK), endless(b"A: b\r\n")), False),
        "is no proxy": (sends(b"220 mail\r\n"), False),
        "agrees and closes": (says(200), False),
        "agrees and is silent": (then_silent(says(200)), False),
        "works": (_as_proxy, True),
    }
    for name, (answer, good) in answers.items():
        rows[f"proxy that {name}"] = Fault(
            kind="proxies", place="raw", answer=_heard(answer), address="https://localhost:{closed_port}" + NAMED,
            environment=through, survives=good,
        )  # fmt: skip
    rows["proxy for http that works"] = Fault(
        kind="proxies", address="http://nobody.invalid/x/w.pt", survives=True,
        environment={"HTTP_PROXY": "http://me:secret@127.0.0.1:{port}", "NO_PROXY": ""},
    )  # fmt: skip
    return rows


def _heard(answer: Answer) -> Answer:
    """The request is read first, as a proxy does."""

    def run(talk: Talk) -> None:
        request = read_request(talk.connection, False)
        if request is not None:
            talk.server.requests.append(request)
            answer(talk)

    return run


def _as_proxy(talk: Talk) -> None:
    """Connect to ourselves as if we were the host."""
    talk.head(200)
    with talk.server.tls.wrap_socket(talk.connection, server_side=True) as inside:
        request = read_request(inside, True)
        if request is not None:
            talk.server.requests.append(request)
            Talk(inside, talk.server, request, talk.turn).good()
