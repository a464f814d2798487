"""A small GPT learns to write like samar's README, one character after the other.

Two blocks of attention, four heads, about 120 000 weights. What one sees in the app: the loss
starts near 5, about the logarithm of the number of different characters, which is guessing, and
falls below 2 within 500 steps. The ratio falls first and comes back to 1; λ stays at its floor.
Nothing is evaluated, so the tiles for accuracy and gap say so. At the end it writes 200 characters:
words, not sense.

    python examples/gpt.py
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

import samar

TEXT = Path(__file__).parents[1] / "README.md"
WIDTH, HEADS, LAYERS, CONTEXT, BATCH = 64, 4, 2, 48, 32


class Block(nn.Module):
    """Each character looks at those before it, then at itself."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.look, self.join = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, time, width) to the same."""
        parts = self.look(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)  # (batch, heads, time, width)
        x = x + self.join(seen.transpose(1, 2).flatten(2))
        return x + self.think(self.norm_after(x))


class GPT(nn.Module):
    """From characters to scores for the next one at each place."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.token = nn.Embedding(characters, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, characters)

    def forward(self, tokens: Tensor) -> Tensor:
        """From (batch, time) to (batch, time, characters)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.blocks(self.token(tokens) + self.place(places)))


def loss_of(scores: Tensor, following: Tensor) -> Tensor:
    """Mean cross-entropy over all characters."""
    return cross_entropy(scores.flatten(0, 1), following.flatten())


def draw(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Pieces of the text, and the same moved on by one character."""
    starts = torch.randint(len(tokens) - CONTEXT, (count,))
    pieces = torch.stack([tokens[start : start + CONTEXT + 1] for start in starts])
    return pieces[:, :-1], pieces[:, 1:]


@torch.no_grad()
def write(network: nn.Module, letters: str, count: int) -> str:
    """Some characters that the network makes up."""
    tokens = torch.zeros(1, 1, dtype=torch.long)
    for _ in range(count):
        scores = network(tokens[:, -CONTEXT:])[:, -1]
        tokens = torch.cat([tokens, torch.multinomial(scores.softmax(-1), 1)], dim=1)
    return "".join(letters[token] for token in tokens[0])


def main(steps: int = 600) -> str | None:
    """Train, and return the id of the watched run."""
    torch.manual_seed(0)
    text = TEXT.read_text(encoding="utf-8")
    letters = "".join(sorted(set(text)))
    tokens = torch.tensor([letters.index(letter) for letter in text])
    network = GPT(len(letters))
    optimizer = samar.SAMAR(network.parameters(), torch.optim.AdamW, lr=3e-3, rho=0.05)

    sample = draw(tokens, 16)
    with samar.watch(
        network, optimizer, loss=loss_of, sample=sample, name="gpt", steps=steps
    ) as run:
        for _ in range(steps):
            x, y = draw(tokens, BATCH)

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                loss = loss_of(network(x), y)
                loss.backward()
                return loss

            optimizer.step(closure)
            run.step()
            if run.stopping:
                break
    print(write(network, letters, 200))
    return run.id


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="train for a moment only")
    main(steps=4) if options.parse_args().small else main()
