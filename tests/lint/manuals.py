#!/usr/bin/env python3
"""manuals.py: the manual pages are what the tables say now, mandoc finds nothing wrong, and every example compiles."""

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


def main():
    faults = []
    templates = sorted((SOURCE / "packaging/man").glob("*.in"))
    if len(templates) < 6:
        faults.append("templates of manual pages are missing")
    for template in templates:
        check_page(template, faults)
    check_examples(faults)
    finish(faults, "manuals")


main()
