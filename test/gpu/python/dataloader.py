# needs: torch
# timeout: 90
"""A DataLoader with worker processes and pinned memory feeds the GPU."""
from shared.digest import deterministic_torch, report

torch = deterministic_torch()


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 512

    def __getitem__(self, index):
        return torch.full((3, 32, 32), float(index)), index


if __name__ == "__main__":
    torch.ones(1, device="cuda")
    for context in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(
            Numbers(), batch_size=32, shuffle=True, num_workers=2, pin_memory=True,
            multiprocessing_context=context, generator=torch.Generator().manual_seed(1))
        order, total = [], torch.zeros((), device="cuda", dtype=torch.float64)
        for images, labels in loader:
            assert images.is_pinned()
            there = images.to("cuda", non_blocking=True)
            total += there.double().sum()
            order.append(labels.to("cuda", non_blocking=True))
        assert total.item() == 3 * 32 * 32 * sum(range(512))
        report(context, torch.cat(order))
