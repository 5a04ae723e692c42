# CC-SSL with the published weight, views and rounds. Give it a target pipeline with nothing random.
cc_ssl = dict(type='CCSSL', gamma=10.0)
cc_ssl_hooks = [dict(type='PseudoRelabelHook', rounds=6), dict(type='AdaptationVisualizationHook', interval=200)]
