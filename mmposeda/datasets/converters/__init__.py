"""From official downloads to the layouts that the data sets read; the commands are ``tools/dataset_converters/``."""
