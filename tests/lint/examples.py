"""examples.py: the rules that the documentation shows, as whole files."""

import json
import os
import re
import subprocess
import tempfile

from house import BUILD, SOURCE, read

MAILREEVE = BUILD / "mailreeve"
DAEMONS = (BUILD / "mailreeve-policyd", BUILD / "mailreeve-milter")

# What an action's example refers to.
PRELUDE = 'table access of net -> action { 192.0.2.0/24 -> "OK" }\n'


def listing(command):
    output = subprocess.run([MAILREEVE, command, "--json"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output)


def of_manual_pages():
    """Displays behind a line `.\\" example` in the templates of manual pages."""
    for template in sorted((SOURCE / "packaging/man").glob("*.in")):
        text = template.read_text(encoding="utf-8")
        for number, match in enumerate(re.finditer(r'^\.\\" example\n\.Bd [^\n]*\n(.*?)^\.Ed$', text, re.M | re.S), 1):
            yield f"{template.name}, example {number}", match.group(1).replace("\\e", "\\").replace("\\&", "")


def configurations():
    """Displays behind a line `.\\" configuration`."""
    for template in sorted((SOURCE / "packaging/man").glob("*.in")):
        for text in re.findall(r'^\.\\" configuration\n\.Bd [^\n]*\n(.*?)^\.Ed$', template.read_text(encoding="utf-8"), re.M | re.S):
            yield template.name, text
    for path in sorted((SOURCE / "packaging/examples").glob("*.conf")):
        yield path.name, path.read_text(encoding="utf-8")


def scenarios():
    """Displays behind a line `.\\" scenario`."""
    for template in sorted((SOURCE / "packaging/man").glob("*.in")):
        for text in re.findall(r'^\.\\" scenario\n\.Bd [^\n]*\n(.*?)^\.Ed$', template.read_text(encoding="utf-8"), re.M | re.S):
            yield template.name, text.replace("\\e", "\\").replace("\\&", "")


def of_actions():
    for action in listing("actions"):
        yield f"action {action['name']}", f"{PRELUDE}at {action['phases'][0]} {{\n    [example] {action['example']}\n}}\n"


def of_functions():
    for function in listing("functions"):
        phase = "rcpt"
        yield f"function {function['name']}", f"at {phase} {{\n    [example] pass if {function['example']} is set\n}}\n"


def of_readme():
    for number, match in enumerate(re.finditer(r"^```rules\n(.*?)^```$", read("README.md"), re.M | re.S), 1):
        yield f"README.md, example {number}", match.group(1)


def check(name, text):
    """What `mailreeve check` says against the text; empty when it is good. Tables that it reads from files are empty files."""
    with tempfile.TemporaryDirectory() as folder:
        for file_name in re.findall(r'from file "([^"]+)"', text):
            if "/" not in file_name:
                open(f"{folder}/{file_name}", "w", encoding="utf-8").close()
        path = f"{folder}/example.rules"
        with open(path, "w", encoding="utf-8") as rules:
            rules.write(text)
        result = subprocess.run([MAILREEVE, "check", path], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return ""
        return f"{name} does not compile:\n{text}{result.stderr.replace(folder + '/', '')}"


def check_configuration(name, text):
    """What the daemons say against a configuration; empty when it is good."""
    said = ""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # started as root the daemons become another user before they read rules
        for file_name, content in (("example.conf", text), ("example.rules", "at rcpt { [all] pass }\n")):
            with open(f"{folder}/{file_name}", "w", encoding="utf-8") as file:
                file.write(content)
        for daemon in DAEMONS:
            command = [daemon, "--check", "--config", f"{folder}/example.conf", "--rules", f"{folder}/example.rules"]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                said += f"{name}: {daemon.name} says:\n{result.stderr}"
    return said


def check_scenario(name, text):
    """What `mailreeve test` says against a scenario; empty when it is good."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/example.scenario"
        with open(path, "w", encoding="utf-8") as scenario:
            scenario.write(text)
        result = subprocess.run([MAILREEVE, "test", path], capture_output=True, text=True, check=False)
        return "" if result.returncode == 0 else f"{name} does not run:\n{result.stdout}{result.stderr}"
