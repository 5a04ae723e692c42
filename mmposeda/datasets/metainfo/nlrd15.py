# The joint set of non-local relation distillation without toes, for motion capture and pictures that lack them.
_base_ = ['./nlrd17.py']
whole = _base_.dataset_info
joints = [joint for joint in whole.keypoint_info.values() if 'foot' not in joint['name']]
links = [link for link in whole.skeleton_info.values() if 'foot' not in link['link'][1]]
parents = {joint: parent for joint, parent in whole.parents.items() if 'foot' not in joint}

dataset_info = dict(
    dataset_name='nlrd15',
    keypoint_info={'_delete_': True, **{n: dict(joint, id=n) for n, joint in enumerate(joints)}},
    skeleton_info={'_delete_': True, **{n: dict(link, id=n) for n, link in enumerate(links)}},
    joint_weights=[1.0] * 15,
    parents=dict(_delete_=True, **parents),
    aliases=dict(_delete_=True, neck='upper_neck'),
)
