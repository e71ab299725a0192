"""scale.py: rules of any number, requests, and the answers that they must get, from a seed; the answers by a plain evaluator of its own. For compare.py.

A quarter of the rules each: client address, client network, sender domain, regex on sender or HELO. One request in a hundred matches a rule, the others none.
"""
import ipaddress
import random
import re

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CLASSES = {"[0-9]": "0123456789", "\\d": "0123456789", "[a-f]": "abcdef", "[g-m]": "ghijklm", "[n-z]": "nopqrstuvwxyz", "[-_]": "-_"}
SIZES = (10, 100, 1000, 10000, 100000)
# What requests that match no rule have.
USUAL = {"sender": [f"user{user}@adelphia{domain}.net" for user in range(300) for domain in range(3)],
         "helo_name": [f"mail{host:03d}.adelphia.net" for host in range(300)]}


class Rules:
    """`kinds`: which of address, network, domain, regex and bare_regex take turns; `ipv6`: the share of client addresses and networks that are."""

    def __init__(self, count, seed=1, kinds=("address", "network", "domain", "regex"), ipv6=0.0):
        self.random = random.Random(seed)
        self.ipv6 = ipv6
        self.addresses, self.networks, self.domains, self.regexes = {}, {}, {}, []
        self.matching = []  # of each rule a request that matches it
        self.terms = [getattr(self, kinds[number % len(kinds)])(number) for number in range(count)]  # (kind, fact, what it is compared with)
        self.verdicts = {}

    def text(self):
        """The rules in mailreeve's language."""
        operators = {"address": "client_address == {}", "network": "client_address in {}", "domain": "sender.domain == \"{}\""}
        lines = [f'    [r{number}] reject 550 5.7.1 "rule {number}" if {operators.get(kind, fact + " ~ /{}/").format(value)}'
                 for number, (kind, fact, value) in enumerate(self.terms)]
        return "at rcpt {\n" + "\n".join(lines) + "\n}\n"

    def word(self, length):
        return "".join(self.random.choice(LETTERS) for _ in range(length))

    def client(self):
        if self.random.random() < self.ipv6:
            return ipaddress.ip_address(0x20010db8 << 96 | self.random.getrandbits(96))
        return ipaddress.ip_address(self.random.randrange(0x0B000000, 0xDF000000))

    def address(self, number):
        client = self.client()
        self.addresses.setdefault(client, number)
        self.matching.append({"client_address": str(client)})
        return "address", "client_address", client

    def network(self, number):
        client = self.client()
        prefix = self.random.randrange(20, 31) if client.version == 4 else self.random.randrange(44, 97)
        network = ipaddress.ip_network((client, prefix), strict=False)
        self.networks.setdefault((client.version, prefix), {}).setdefault(int(network.network_address), number)
        self.matching.append({"client_address": str(client)})
        return "network", "client_address", network

    def domain(self, number):
        domain = f"{self.word(9)}.example"
        self.domains.setdefault(domain, number)
        self.matching.append({"sender": f"someone@{domain}"})
        return "domain", "sender", domain

    def regex(self, number):
        fact = self.random.choice(("sender", "helo_name"))
        start, end = self.word(6), self.word(5)
        text = f"{start}{self.random.randrange(1000)}.{end}.test"
        pattern = self.random.choice((f"{start}[0-9]+\\.{end}", f"{start}\\d*\\.{end}\\.", f"(mail|{start})[^.]+\\.{end}\\.test$"))
        self.regexes.append((number, fact, re.compile(pattern, re.IGNORECASE)))
        self.matching.append({fact: f"a@{text}" if fact == "sender" else text})
        return "regex", fact, pattern

    def bare_regex(self, number):
        """One without two letters beside each other that must be there: classes only, which the texts of other requests do not match."""
        fact = self.random.choice(("sender", "helo_name"))
        while True:
            classes = [(self.random.choice(tuple(CLASSES)), self.random.randrange(1, 4)) for _ in range(6)]
            pattern = self.random.choice(("", "^")) + "".join(name + (f"{{{times}}}" if times > 1 else "") for name, times in classes)
            regex = re.compile(pattern, re.IGNORECASE)
            if not classes[0][0].startswith("[-") and not any(map(regex.search, USUAL[fact])):
                break
        self.regexes.append((number, fact, regex))
        text = "".join(self.random.choice(CLASSES[name]) for name, times in classes for _ in range(times)) + "0"
        self.matching.append({fact: f"{text}@match.example" if fact == "sender" else text})
        return "bare_regex", fact, pattern

    def stranger(self):
        """The facts of a request; few senders and HELO names, so that the plain evaluator need not read each regex for each request anew."""
        return {"client_address": str(self.client()), **{fact: self.random.choice(texts) for fact, texts in USUAL.items()}}

    def request(self, match):
        """The facts of a request that matches a rule, or none: with many networks, one client in twenty is in one of them by chance and is drawn anew."""
        facts = self.stranger()
        while self.verdict(facts) is not None:
            facts = self.stranger()
        if match and self.matching:
            facts.update(self.random.choice(self.matching))
        return facts

    def regex_verdict(self, fact, text):
        if (fact, text) not in self.verdicts:
            self.verdicts[fact, text] = next((number for number, of, regex in self.regexes if of == fact and regex.search(text)), None)
        return self.verdicts[fact, text]

    def verdict(self, facts):
        """The first rule that matches, or None."""
        client = ipaddress.ip_address(facts["client_address"])
        found = [self.addresses.get(client), self.domains.get(facts["sender"].rsplit("@", 1)[1])]
        for (version, prefix), networks in self.networks.items():
            if version == client.version:
                bits = client.max_prefixlen - prefix
                found.append(networks.get(int(client) >> bits << bits))
        found += [self.regex_verdict(fact, facts[fact]) for fact in ("sender", "helo_name")]
        return min((number for number in found if number is not None), default=None)
