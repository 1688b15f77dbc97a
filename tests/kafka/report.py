"""Results as JSON, and the table of docs/kafka-compatibility.md made from them."""
import json

BEGIN = "<!-- results: begin -->"
WORDS = {"pass": "yes", "fail": "no", "none": "–", "absent": "absent"}
END = "<!-- results: end -->"


def merge(path, results):
    """Puts each result in the place of the same suite's earlier one against the same broker."""
    kept = json.loads(path.read_text()) if path.exists() else []
    fresh = {(r["suite"], r["broker"]) for r in results if r["checks"]}
    kept = [r for r in kept if (r["suite"], r["broker"]) not in fresh]
    kept += [r for r in results if r["checks"]]
    kept.sort(key=lambda r: (r["suite"], r["broker"]))
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def cell(result, names):
    """One client and feature: all passed, some, none, or not offered."""
    asked = [result["checks"][n]["result"] for n in names if n in result["checks"]]
    tried = [r for r in asked if r not in ("none", "absent")]
    if not tried:
        return "absent" if "absent" in asked else "–"
    passed = tried.count("pass")
    return "yes" if passed == len(tried) else f"{passed} of {len(tried)}" if passed else "no"


def features_of(checks):
    features = {}
    for check in checks:
        features.setdefault(check["feature"], []).append(check["name"])
    return features


def table(results, checks):
    features = features_of(checks)
    lines = ["| Client | " + " | ".join(features) + " |",
             "|---" * (len(features) + 1) + "|"]
    plain = [r for r in results if any(n in r["checks"] for ns in features.values() for n in ns)]
    for result in plain:
        cells = [cell(result, names) for names in features.values()]
        lines.append(f"| {result['client']} | " + " | ".join(cells) + " |")
    known = {n for ns in features.values() for n in ns}
    for result in results:
        own = {n: c for n, c in result["checks"].items() if n not in known}
        if own:
            lines += ["", f"{result['client']}: " + ", ".join(
                f"{name} {WORDS[c['result']]}" for name, c in own.items()) + "."]
    return "\n".join(lines)


def failures(results):
    lines = []
    for result in results:
        for name, check in result["checks"].items():
            if check["result"] == "fail":
                detail = " ".join(check["detail"].split()).replace("|", "/")[:160]
                lines.append(f"- {result['client']}, `{name}`: {detail}")
    return "\n".join(lines) or "None."


def write_table(page, results_path, checks):
    """Replaces what is between the markers of `page`."""
    everything = json.loads(results_path.read_text())
    parts = []
    for broker in ("runnel", "kafka"):
        results = [r for r in everything if r["broker"] == broker]
        if not results:
            continue
        version = sorted({r["version"] for r in results})[-1]
        dates = sorted({r["date"] for r in results})
        parts.append(f"### Against {broker.capitalize()} {version} ({dates[-1]})\n\n"
                     f"{table(results, checks)}\n\nChecks that fail:\n\n{failures(results)}")
    text = page.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n" + "\n\n".join(parts) + f"\n{END}{after}")
