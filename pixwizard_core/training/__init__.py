"""Training: the small model, LoRA, the autoencoder and the tokenizer.

`dataset` and `batches` make samples, `loop` holds objective and optimiser, `small_model` trains the
bundled model by a settings file (`config`), `lora` any PixWizard, `autoencoder` and `tokenizer` the
parts around it.
"""
