#!/usr/bin/env python3
"""listings.py: mailreeve's listings, their JSON, its exit codes, and what it says about wrong command lines."""

import json
import subprocess
import tempfile

import examples
from house import finish, rows

faults = []


def run(*arguments):
    return subprocess.run([examples.MAILREEVE, *arguments], capture_output=True, text=True, check=False)


def expect(truth, what):
    if not truth:
        faults.append(what)


def check_exit(code, stderr_part, *arguments):
    result = run(*arguments)
    expect(result.returncode == code, f"mailreeve {' '.join(arguments)}: exit code {result.returncode} in place of {code}\n{result.stderr}")
    expect(stderr_part in result.stderr, f"mailreeve {' '.join(arguments)}: expected {stderr_part!r} in\n{result.stderr}")
    return result


def check_names():
    """What the tables hold is what is listed, as text and as JSON."""
    facts = [row[1] for row in rows("common/smtp/fact.def", "FACT")]
    expect([fact["name"] for fact in examples.listing("facts")] == facts, "facts --json is not fact.def")
    text = run("facts").stdout
    expect(all(f"\n{name}  (" in "\n" + text for name in facts), "facts does not list all of fact.def")
    codes = examples.listing("codes")
    expect([reply["code"] for reply in codes["replies"]] == [int(row[0]) for row in rows("common/smtp/reply.def", "REPLY")], "codes --json is not reply.def")
    expect(len(codes["enhanced"]) == len(rows("common/smtp/enhanced.def", "ENHANCED")), "codes --json is not enhanced.def")
    listed = examples.listing("doors")
    doors, commands = listed["doors"], listed["commands"]
    phases = [row[1] for row in rows("common/smtp/phase.def", "PHASE")]
    expect([door["name"] for door in doors] == [row[1] for row in rows("common/smtp/door.def", "DOOR")], "doors --json is not door.def")
    expect(all([row["phase"] for row in door["phases"]] == phases for door in doors), "doors --json does not have all phases")
    expect([command["name"] for command in commands] == [json.loads(row[1]) for row in rows("common/smtp/command.def", "COMMAND")], "doors --json is not command.def")
    table_names = [json.loads(row[2]) for row in rows("common/smtp/command.def", "COMMAND") if row[2] != "NULL"]
    expect(table_names == "HELO,MAIL FROM,RCPT TO,DATA,QUIT,RSET,VRFY,NOOP,TURN,EXPN,HELP,SEND FROM,SMOL FROM,SMAL FROM".split(","), "the source table's commands")
    mtas = [row[1] for row in rows("common/smtp/mta.def", "MTA")]
    expect(all(list(command["mtas"]) == mtas and all(place["is"] for place in command["mtas"].values()) for command in commands), "a command without a row for each MTA")
    for name, path, macro in (("actions", "common/rules/action/actions.def", "ACTION"), ("functions", "common/rules/function/functions.def", "FUNCTION")):
        listed = examples.listing(name)
        expect(len(listed) == len(rows(path, macro)), f"{name} --json is not {path}")
        expect(all(item["example"] and item["sentence"] for item in listed), f"{name}: an item without an example or a sentence")
    expect(len(examples.listing("tables")["kinds"]) == len(rows("common/lookup/kinds.def", "KIND")), "tables --json is not kinds.def")


def check_usage():
    check_exit(2, "there is no command chek; nearest: check", "chek")
    check_exit(2, "there is no option --jsn; nearest: --json", "facts", "--jsn")
    check_exit(2, "there is no fact sendr; nearest: sender", "facts", "sendr")
    check_exit(2, "there is no code 999", "codes", "999")
    check_exit(2, "which rules file?", "check")
    check_exit(2, "needs policy|milter", "check", "--door")
    check_exit(2, "there is no door dor", "check", "--door", "dor", "x")
    check_exit(2, "takes no value", "facts", "--json=yes")
    check_exit(2, "takes no operands", "doors", "x")
    check_exit(2, "", "help", "nothing")
    expect("usage: mailreeve COMMAND" in check_exit(2, "").stdout, "no help without a command")
    expect(run("--version").stdout.startswith("mailreeve "), "--version")
    commands = [line.split()[0] for line in run("help").stdout.split("commands:\n")[1].split("\n\n")[0].splitlines()]
    expect(len(commands) == len(rows("common/cli/commands.def", "COMMAND")), "help does not list all commands")
    for name in commands:
        expect(check_exit(0, "", "help", name).stdout.startswith(f"usage: mailreeve {name}"), f"help {name}")
        expect(check_exit(0, "", name, "--help").stdout == run("help", name).stdout, f"{name} --help")
    expect("X.5.1  Invalid command" in check_exit(0, "", "codes", "554", "5.7.1").stdout, "codes 554")


def check_check():
    with tempfile.TemporaryDirectory() as folder:
        good, bad = f"{folder}/good.rules", f"{folder}/bad.rules"
        with open(good, "w", encoding="utf-8") as rules:
            rules.write('at rcpt {\n    [one] reject 550 5.7.1 "no" if sender == "a@b.example"\n}\n')
        with open(bad, "w", encoding="utf-8") as rules:
            rules.write('at rcpt {\n    [one] reject 550 5.7.1 "no" if sendr == "a@b.example"\n}\n')
        expect(check_exit(0, "", "check", good).stdout.startswith(f"{good}: ok (1 rule, "), "check of a good file")
        result = check_exit(1, f"{bad}:2:", "check", good, bad)
        expect("sender" in result.stderr, "check does not name the nearest fact")
        result = check_exit(1, "", "check", "--json", bad, good)
        report = json.loads(result.stdout)
        expect([item["ok"] for item in report] == [False, True], "check --json: ok")
        expect(report[0]["diagnostics"][0]["at"]["line"] == 2, "check --json: line")
        check_exit(1, "missing.rules", "check", f"{folder}/missing.rules")
        check_door(folder)
        check_format(folder, good, bad)


def check_door(folder):
    path = f"{folder}/instance.rules"
    with open(path, "w", encoding="utf-8") as rules:
        rules.write('at rcpt {\n    [one] log "{instance}" if instance == "x"\n}\n')
    check_exit(0, "", "check", "--door", "policy", path)
    check_exit(1, "instance", "check", "--door=milter", path)


def check_format(folder, good, bad):
    check_exit(1, f"{folder}/missing", "format", f"{folder}/missing")
    check_exit(2, "not both", "format", "--write", "--list", good)
    broken = f"{folder}/broken.rules"
    with open(broken, "w", encoding="utf-8") as rules:
        rules.write("at rcpt { reject\n")
    check_exit(1, f"{broken}:", "format", broken)
    untidy = f"{folder}/untidy.rules"
    with open(untidy, "w", encoding="utf-8") as rules:
        rules.write('at   rcpt   {\n[one] reject   550 5.7.1 "no"   if sender=="a@b.example"\n}\n')
    tidy = check_exit(0, "", "format", untidy).stdout
    expect(check_exit(1, "", "format", "--list", untidy).stdout == f"{untidy}\n", "format --list names the untidy file")
    check_exit(0, "", "format", "--write", untidy)
    with open(untidy, encoding="utf-8") as rules:
        expect(rules.read() == tidy, "format --write")
    check_exit(0, "", "format", "--list", untidy)
    expect(check_exit(0, "", "format", bad).returncode == 0, "format does not mind names")


def check_output():
    with open("/dev/full", "w", encoding="utf-8") as full:
        code = subprocess.run([examples.MAILREEVE, "facts"], stdout=full, stderr=subprocess.DEVNULL, check=False).returncode
    expect(code == 2, "a full disk is not told")


check_names()
check_usage()
check_check()
check_output()
finish(faults, "listings")
