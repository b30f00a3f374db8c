"""Check an audit's certificate with the standard library alone: python check_certificate.py [FILE]"""

import json
import sys
from fractions import Fraction
from math import comb, inf, log
from pathlib import Path

told = json.loads(Path(sys.argv[1] if sys.argv[1:] else Path(__file__).with_name("certificate.json")).read_text())
(p1, p2, p3, p4), s, ring = map(Fraction, told["response"]), told["shares"], told["ring"]


def law(p, rounds):
    """P[k claims], k = 0..rounds; of no rounds: the permanent answer itself."""
    r, odds = (rounds, (p3, p4)) if rounds else (1, (1, 0))
    yes, no = ([comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)] for q in odds)
    return [p * a + (1 - p) * b for a, b in zip(yes, no, strict=True)]


holds = [told["format"] == "securefl-certificate/1", min(p1, p2, p3, p4) >= 0, max(p1, p2, p3, p4) <= 1]
for claim in told["claims"]:
    held, absent = law(p1, claim["rounds"]), law(p2, claim["rounds"])
    sides = {"held": [*zip(held, absent, strict=True)], "absent": [*zip(absent, held, strict=True)]}
    ratio = max(a / b if b else inf for outcomes in sides.values() for a, b in outcomes if a)
    epsilon = inf if ratio == inf else log(ratio.numerator) - log(ratio.denominator)
    a, b = sides[claim["speaks_for"]][claim["seen"]]
    holds += [f"{a} {b} {epsilon:.6f}" == "{likely} {unlikely} {epsilon}".format_map(claim)]
    holds += [a == ratio * b if b else a > 0]
    print(f"an index, rounds: {claim['rounds'] or 'any'}, eps at most {claim['epsilon']}")
least = max(2, {True: (s["clients"] - 1 + s["colluders"]) // 2, False: s["colluders"]}[s["malicious"]] + 1)
holds += [least == s["least_threshold"], s["threshold"] - least == s["surplus"], s["survivors"] > s["threshold"]]
holds += [s["clients"] - s["survivors"] == s["may_be_lost"], s["survivors"] - s["colluders"] == s["honest_inputs"]]
largest = ring["weight"] * (2 ** ring["quantization_bits"] - 1)
holds += [s["clients"] * largest == ring["largest_sum"], (2 ** ring["bits"] - 1) // largest == ring["largest_cohort"]]
holds += [f"{told['set']['size'] * epsilon:.6f}" == told["set"]["epsilon"], {*told["unbounded"].values()} == {"1/0"}]
sys.exit(print("the certificate holds") if all(holds) else "the certificate does NOT hold")
