"""Evaluation: datasets and protocols, the demo world's tasks, films and sampler settings → tables.

Datasets: `layouts` find pictures and truth, `truths` reads it, `protocols` compares answers one by
one, `measures` and `set_measures` those on disk by `networks`, `evaluate_set` does it all, `tables`
prints. The paper: `cells` has its numbers, `paper` measures them, `paper_table` prints.
The demo world: `scorers` and `scoring` by task, `baselines`, `referring`, `score_report`;
`sampler_study` compares the ways to sample of `variations`; `films` measures flicker.
"""
