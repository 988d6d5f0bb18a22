"""Files on disk: which ones are meant, films and pictures read, and results written.

`kinds` and `walk` decide what is a picture, film or list and how folders are walked, `film` reads
frames by their number, `picture_files` opens and saves pictures, `answers` writes all that an
answer decodes to, `data_files` and `exr` keep numbers, `lettering` draws words.
"""
