"""Teach a model pairs of one's own: a LoRA, or the whole model.

`sources` reads pairs, `before` looks at everything that could stop a run, `encode` and `store` keep
what encoders give, `order` and `objective` decide what a step shows and computes, `course` is the
run that can stop and go on, `watch` looks at how it does, and `teach` does one after another.
"""
