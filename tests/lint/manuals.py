#!/usr/bin/env python3
"""manuals.py: the manual pages are what the tables say now, mandoc finds nothing wrong, every example compiles, and units start what there is."""

import re
import shutil
import subprocess

import examples
from house import BUILD, SOURCE, finish


def check_page(template, faults):
    page = template.with_suffix("")
    made = subprocess.run([BUILD / "packaging/man/manual", template], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        faults.append(made.stderr)
    elif not page.is_file() or page.read_text(encoding="utf-8") != made.stdout:
        faults.append(f"packaging/man/{page.name} is not what the program's tables say: run make manuals")
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=made.stdout, capture_output=True, text=True, check=False)
        if lint.stdout or lint.returncode != 0:
            faults.append(f"{page.name}:\n{lint.stdout}{lint.stderr}")


def check_examples(faults):
    count = 0
    sources = [examples.of_manual_pages(), examples.of_actions(), examples.of_functions(), examples.of_readme()]
    for name, text in (example for source in sources for example in source):
        count += 1
        faults.extend(filter(None, [examples.check(name, text)]))
    for name, text in examples.configurations():
        count += 1
        faults.extend(filter(None, [examples.check_configuration(name, text)]))
    for name, text in examples.scenarios():
        count += 1
        faults.extend(filter(None, [examples.check_scenario(name, text)]))
    for path in sorted((SOURCE / "packaging/examples").glob("*.rules")):
        count += 1
        result = subprocess.run([examples.MAILREEVE, "check", path], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            faults.append(f"{path.name} does not compile:\n{result.stderr}")
    print(f"{count} examples")


def check_unit(path, faults):
    """The flags of ExecStart are the daemon's; nothing forbids machine code made for regexes; everything is filled in."""
    text = path.read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=(\S*/(\S+)) (.*)$", text, re.M)
    known = re.findall(r"--[a-z]+", subprocess.run([daemon_of(path), "--help"], capture_output=True, text=True, check=True).stdout)
    if not command or command.group(2) != daemon_of(path).name or not command.group(1).startswith("/"):
        faults.append(f"{path.name} does not start {daemon_of(path).name}")
    else:
        faults.extend(f"{path.name}: there is no flag {flag}" for flag in re.findall(r"--[a-z]+", command.group(3)) if flag not in known)
    faults.extend(f"{path.name} sets {word}" for word in re.findall(r"^MemoryDenyWriteExecute|@\w+dir@", text, re.M))


def daemon_of(unit):
    return next(daemon for daemon in examples.DAEMONS if daemon.name == unit.stem)


def check_units(faults):
    units = sorted((BUILD / "packaging/systemd").glob("*.service"))
    if len(units) != 2:
        faults.append("units of the daemons are missing")
    for unit in units:
        check_unit(unit, faults)


def main():
    faults = []
    templates = sorted((SOURCE / "packaging/man").glob("*.in"))
    if len(templates) < 6:
        faults.append("templates of manual pages are missing")
    for template in templates:
        check_page(template, faults)
    check_examples(faults)
    check_units(faults)
    finish(faults, "manuals")


main()
