"""Training: the small model, LoRA, the autoencoder and the tokenizer.

`samples` defines a sample, `dataset` and `batches` make them, `loop` holds objective and optimiser,
`small_model` trains the bundled model by a settings file (`config`), `teach` any PixWizard on pairs
of one's own, `autoencoder` (with `picture_sets`) and `tokenizer` the parts around it.
"""
