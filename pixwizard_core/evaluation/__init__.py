"""Evaluation: datasets and protocols, the demo world's tasks, films and sampler settings → tables.

Datasets: `layouts` find pictures and truth, `truths` reads it, `protocols` compares, `tables`
prints. The demo world: `scorers` and `scoring` by task, `baselines`, `referring`, `score_report`;
`sampler_study` compares the ways to sample of `variations`; `films` measures flicker.
"""
