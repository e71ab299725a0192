#!/usr/bin/env python3
"""sendmail.py: the feature for sendmail.mc tells the facts that fact.def has a Sendmail macro for, in its order, each with that macro, and asks the maps that the door has."""

import re

import examples
from house import finish, read


def main():
    faults = []
    text = read("packaging/sendmail/mailreeve.m4")
    told = re.findall(r"([\w.]+)= \$&?(\w|\{\w+\})", re.search(r"define\(`_MAILREEVE_FACTS_', `(.*)'\)", text)[1])
    expected = [(fact["name"], fact["socketmap"]) for fact in examples.listing("facts") if fact["socketmap"] not in (None, "", "argument")]
    if told != expected:
        faults.append(f"mailreeve.m4 tells {told}, fact.def has {expected}")
    asked = sorted(set(re.findall(r"^K(mailreeve_\w+) socket", text, re.M)))
    known = sorted(re.findall(r'SLICE_LITERAL\("(mailreeve_\w+)"\)', read("common/door/socketmap_parse.c")))
    if asked != known or any(len(re.findall(rf"\$\({name} _MAILREEVE_FACTS_ <> argument= \$1 ", text)) != 1 for name in known):
        faults.append(f"mailreeve.m4 asks {asked}, the door has {known}")
    finish(faults, "the feature for sendmail.mc")


main()
