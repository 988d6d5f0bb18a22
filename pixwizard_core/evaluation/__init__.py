"""Evaluation: datasets and protocols, the demo world's tasks, films and sampler settings → tables.

Datasets: `layouts` find pictures and truth, `truths` reads it, `protocols` compares, `tables`
prints. The demo world: `scorers` and `scoring` by task, `baselines`, `referring`, `score_report`;
`effects` and `savings` vary the sampler; `films` measures flicker.
"""
