"""Three clients learn which items any of them holds; the sum shows neither who holds one nor how many do."""

import numpy as np

import psu

plan = psu.plan_union(universe=100_000, expected_union=70, clients=3, bytes_per_index=30)
held = [range(50), range(40, 55), range(99_990, 100_000)]

encoded = [psu.encode(plan, np.array(indices)) for indices in held]
total = np.sum(encoded, axis=0, dtype=np.uint32)  # in a real round: a secure sum, so nobody sees the parts

union = psu.decode(plan, total)
wanted = np.unique(np.concatenate(held))
print(f"plan      {plan.kind}: {plan.cells} cells of {plan.bits} bits, {plan.hashes} per item")
print(f"upload    {plan.bytes_up} bytes per client; a bitmap would take {plan.universe}")
print(f"union     {len(union)} items, {np.isin(wanted, union).sum()} of the {len(wanted)} held")
print(
    f"expected  {plan.expected_false:.1f} false items; a held item is missed at most once in {int(1 / plan.worst_loss)}"
)
