"""Evaluation: datasets and protocols, the demo world's tasks, films and sampler settings → tables.

Datasets: `layouts` finds pictures and truth, `truths` reads the truth, `protocols` scores single
answers, `measures` and `set_measures` score answers on disk with `networks`, `evaluate_set` runs it
all, `tables` prints. The paper: `cells` has its numbers, `paper` measures them, `paper_table`
prints. The demo world: `scorers` (with `shown_colours`) and `scoring` by task, `baselines`,
`referring`, `score_report`; `sampler_study` compares the sampler settings in `variations`; `films`
measures flicker.
"""
