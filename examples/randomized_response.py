"""What deniable claims cost in privacy, and how a client's answers stay the same from round to round."""

import numpy as np

import dp

print("response    one round  10 rounds       ever")
for name in ("15/16", "7/8", "3/4", "none", "union"):
    response = dp.TwoStage.parse(name)
    epsilons = response.epsilon_round(), response.epsilon_rounds(10), response.epsilon_ever()
    print(f"{name:<8}", *(f"{epsilon:12.3f}" for epsilon in epsilons))

response, memo = dp.TwoStage.parse("7/8"), dp.InMemoryMemo()
union, held = np.arange(1000), np.arange(50)
print("\nround  claimed  of them held")
for number in (1, 2, 3):
    claim = dp.privatize(response, union, held, memo)
    print(f"{number:5}  {claim.sum():7}  {claim[held].sum():12}")

loss = response.loss_rounds(3)
print(f"\nafter 3 rounds: epsilon {loss.epsilon:.3f} per item, from the outcome {loss.witness.event!r};")
print(f"swapping all 50 items for others: {loss.set_level(removed=50, added=50):.1f}; without a memo the rounds")
print(f"add up to {response.fresh().epsilon_rounds(3):.3f} per item, with no end")
