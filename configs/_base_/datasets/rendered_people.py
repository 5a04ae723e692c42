# People rendered to disk in COCO style with LSP's 14 joints, as tools/render_people.py writes them. As in
# lspet_subset.py a config adds its own pipelines. The box is the whole picture; bbox='ann' takes the annotation's.
rendered_people = dict(type='LSPDataset', data_root='data/rendered_people/', data_prefix=dict(img='images/'))

rendered_train = dict(**rendered_people, ann_file='annotations/train.json')
rendered_val = dict(**rendered_people, ann_file='annotations/val.json', test_mode=True)
