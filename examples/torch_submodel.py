"""A torch module of your own in secure rounds: clients train the rows they claim, sums are opened. Needs torch."""

from torch import Tensor, nn

from securefl.config import load_preset, override
from securefl.datasets import synthetic_click_log
from securefl.engine import local
from securefl.federation.progress import Silent
from securefl.models.torch import Inputs, TorchModel


class Taste(nn.Module):
    """Does the target look like what the user clicked before?"""

    def __init__(self, items: int, categories: int) -> None:
        super().__init__()
        self.item, self.kind = nn.Embedding(items, 8), nn.Embedding(categories, 8)
        self.top = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Inputs) -> Tensor:
        """Logits, (B,)."""
        target = self.item(x.targets["items"]) + self.kind(x.targets["kinds"])
        clicked = (self.item(x.history["items"]) + self.kind(x.history["kinds"])) * x.mask[:, :, None]
        taste = clicked.sum(1) / x.mask.sum(1, keepdim=True).clamp(min=1)
        return self.top(target * taste)[:, 0] + (target * taste).sum(1) + x.user[:, 0]


log = synthetic_click_log("small")
names, maps = {"items": "item", "kinds": "kind"}, {"kinds": log.category}
model = TorchModel(Taste(log.items, log.categories), names, maps, embedding_rate=10)
config = override(load_preset("small"), {"cohort.clients": 40, "cohort.rounds": 2, "secagg.colluders": 0})

summary = local.run(config, log, Silent(), model=model)
for one in summary.per_round:
    print(f"round {one.round}: {one.finishers} of {one.clients} clients, {one.rows_uploaded} rows, AUC {one.auc:.3f}")
if not summary.exact:
    raise SystemExit("a secure sum differs from the clear one")
