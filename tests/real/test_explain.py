#!/usr/bin/env python3
"""test_explain.py: mailreeve explain with a real DNS server: what was asked, what came, and how long it took."""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean

from probe import DnsServer, check, run

ZONE = """
1.2.0.192.zen.test   A    127.0.0.2 delay=60
1.2.0.192.zen.test   TXT  "see https://zen.test/"
3.2.0.192.zen.test   SERVFAIL
"""

RULES = """
dnslist zen of ip "zen.test" on error tempfail
at rcpt {
    [zen] reject 550 5.7.1 "{dnslist.text}" if client_address in zen
}
"""


def explain(server, client, *more):
    with tempfile.NamedTemporaryFile("w", suffix=".rules", encoding="utf-8") as rules:
        rules.write(RULES)
        rules.flush()
        command = [os.path.abspath("mailreeve"), "explain", rules.name, "--resolver", server.address, "--client-address", client, "--helo", "a.example"]
        command += ["--sender", "a@b.example", "--recipient", "c@d.example", *more]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    check(result.returncode == 0, result.stderr)
    return result.stdout


def a_listing_with_its_time():
    with DnsServer(ZONE) as server:
        text = explain(server, "192.0.2.1")
        asked = re.search(r"zen\.test A, (\d+) ms\)", text)
        check(asked and int(asked.group(1)) >= 50, f"the answer took 60 ms:\n{text}")
        check("policy   action=550 5.7.1 see https://zen.test/" in text, text)
        check("milter   550 5.7.1 see https://zen.test/" in text, text)
        check(server.count("query 1.2.0.192.zen.test A") == 1, "both doors use one answer")


def no_listing():
    with DnsServer(ZONE) as server:
        text = explain(server, "192.0.2.2")
        check("not found (2.2.0.192.zen.test A" in text and "verdict  pass" in text, text)


def a_failure():
    with DnsServer(ZONE) as server:
        steps = {step["step"]: step for step in json.loads(explain(server, "192.0.2.3", "--json"))}
        rcpt = steps["rcpt"]
        check(rcpt["outcome"] == "tempfail" and rcpt["by_failure"] and rcpt["failures"] == ['failed "dnslist zen"'], rcpt)
        check(rcpt["doors"]["policy"]["code"] == "451" and rcpt["doors"]["milter"]["code"] == "451", rcpt)
        check("data" not in steps, "the client cannot go on")


run([a_listing_with_its_time, no_listing, a_failure])
