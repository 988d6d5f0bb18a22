"""Results on disk: pictures, data as CSV, JSON, EXR and 16-bit PNG, and words in pictures.

`answers` writes all that an answer decodes to, `picture_files` opens and saves pictures,
`data_files` and `exr` keep numbers, `lettering` draws words.
"""
