# STB with a wrist put on the far side of the palm centre: wrist = mcp + 2 (palm - mcp), mcp that of the middle finger.
_base_ = ['./stb.py']

dataset_info = dict(
    dataset_name='stb_wrist',
    derived=dict(wrist=dict(palm=2.0, middle_finger1=-1.0)),
)
