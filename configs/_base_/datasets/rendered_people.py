# People rendered to disk in COCO style with LSP's 14 joints, as tools/render_people.py writes them. As in lspet_subset.py
# the data sets have no pipelines: a config adds its own. The whole picture is the box;
# bbox='ann' takes that of the annotation.
rendered_people = dict(
    type='LSPDataset', data_root='data/rendered_people/', data_prefix=dict(img='images/'), bbox='image'
)

rendered_train = dict(**rendered_people, ann_file='annotations/train.json')
rendered_val = dict(**rendered_people, ann_file='annotations/val.json', test_mode=True)
