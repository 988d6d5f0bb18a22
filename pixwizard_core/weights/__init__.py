"""Weight files: find, recognise, read, check, convert and write them; LoRA.

`weightfile` reads containers, `pickle_scan` says what a pickle would load, `locate` searches
folders, `recognise` names the model, `examine` describes a file, `strict` compares every name and
shape, `finite` finds NaN, `quantised` knows 8-bit formats and `quantised_files` reads them,
`layer_choice` says which weights they suit, `checkpoint` opens and loads with all of these.
"""
