"""How well labelled vectors are separated: points (N, D) and labels (N,) in, one number out."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def silhouette(points: Tensor, labels: Tensor) -> float:
    """Mean silhouette by Euclidean distance, -1 to 1: 1 for well separated labels, 0 for mixed
    ones. A point that is alone with its label counts 0. NaN for fewer than two labels. Source:
    Rousseeuw 1987."""
    names = labels.unique()
    if len(names) < 2:
        return math.nan
    distances = torch.cdist(points.double(), points.double())
    member = labels[None] == names[:, None]  # (labels, N)
    counts = member.sum(1)
    sums = distances @ member.T.double()  # (N, labels)
    own = member.T
    others = (counts[None] - own.long()).double()  # without the point itself
    means = torch.where(others > 0, sums / others.clamp(min=1), torch.inf)
    within = torch.where(own, means, 0.0).nan_to_num(posinf=0.0).sum(1)
    nearest = torch.where(own, torch.inf, means).amin(1)
    widest = torch.maximum(within, nearest)
    each = torch.where(widest > 0, (nearest - within) / widest.clamp(min=1e-300), 0.0)
    alone = (own * counts[None]).sum(1) == 1
    return float(torch.where(alone, 0.0, each).mean())


def neighbour_accuracy(points: Tensor, labels: Tensor, neighbours: int = 5) -> float:
    """Share of points whose nearest neighbours mostly have their label; ties go to the nearer
    label. NaN for fewer points than neighbours + 1."""
    if len(points) <= neighbours:
        return math.nan
    distances = torch.cdist(points.double(), points.double())
    distances.fill_diagonal_(torch.inf)
    near = labels[distances.topk(neighbours, dim=1, largest=False).indices]  # nearest first
    votes = (near[:, :, None] == near[:, None]).sum(-1)
    chosen = near.gather(1, votes.argmax(1, keepdim=True))[:, 0]  # the first of equals is nearer
    return float((chosen == labels).double().mean())


def principal_plane(points: Tensor) -> Tensor:
    """(N, 2): coordinates along the first two principal components, with fixed signs."""
    centred = points.double() - points.double().mean(0)
    directions = torch.linalg.svd(centred, full_matrices=False)[2]
    two = directions[:2]
    largest = two.abs().argmax(1, keepdim=True)
    return centred @ (two * two.gather(1, largest).sign()).T
