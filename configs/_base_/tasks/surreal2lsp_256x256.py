# SURREAL to LSP as published (RegDA, UDAPE). RegDA's code augments LSP in no way.
_base_ = ['paper_256x256.py', '../datasets/surreal.py', '../datasets/lsp.py']

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**_base_.surreal_train, pipeline=_base_.source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.lsp_reference, pipeline=_base_.target_pipeline)),
        ]
    )
)
val_dataloader = dict(dataset=dict(**_base_.lsp_reference_test, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
