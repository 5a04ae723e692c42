"""Draws batches of people with Warp: rest shapes and rotations in, premultiplied pictures, part maps and joints out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .accessories import place
from .body import body_model, forward_kinematics, require_synth
from .rig import BONE, joint_table
from .rotations import apply

SHADOW_SIZE = 160


@dataclass
class Drawing:
    """What is drawn of B people.

    Attributes:
        image (np.ndarray): (B, S, S, 4) float32 linear light, premultiplied by alpha.
        part (np.ndarray): (B, S, S) uint8 part numbers (``rig.PARTS``; 0 background), nearest pixel.
        joints (np.ndarray): (B, K, 3) in camera axes, metres.
        hidden (np.ndarray): (B, K) bool, another part of the body is in front of the joint.
        bone_heads, bone_tails (np.ndarray): (B, 31, 3) in camera axes, metres.
    """

    image: np.ndarray
    part: np.ndarray
    joints: np.ndarray
    hidden: np.ndarray
    bone_heads: np.ndarray
    bone_tails: np.ndarray


class PeopleRenderer:
    """Renderer for one joint set.

    Args:
        joints (str): ``lsp``, ``mpii`` or ``h36m``.
        device (str): ``cpu``, ``cuda`` or another device of Warp's.
        supersample (float): Drawn at this many times the size and area-averaged.
    """

    def __init__(self, joints='lsp', device='cpu', supersample=1.5):
        _, wp = require_synth()
        from . import geometry_kernels, records, shade_kernels

        self._wp, self._geometry, self._shade, self.records = wp, geometry_kernels, shade_kernels, records
        self.device, self.supersample = device, supersample
        self.joint_names, self._joint_weights, self._own_parts = joint_table(joints)
        self.body = body = body_model()
        self.person_dtype = records.Person.numpy_dtype()
        self.light_dtype = records.Light.numpy_dtype()
        self._lens_dtype = records.Lens.numpy_dtype()
        around, first = self._vertex_faces(body.faces, len(body.canonical))
        normals = self._normals(body)

        def put(x, dtype):
            return wp.array(np.ascontiguousarray(x), dtype=dtype, device=device)

        self._a = dict(
            faces=put(body.faces, wp.int32),
            canonical=put(body.canonical, wp.vec3),
            normals=put(normals, wp.vec3),
            along=put(np.stack([body.along_arm, body.along_leg], -1), wp.vec2),
            weights=put(body.weights, wp.float32),
            bones=put(body.bones, wp.int32),
            first=put(first, wp.int32),
            around=put(around, wp.int32),
            kind=put(body.face_kind, wp.int32),
            part=put(body.face_part, wp.int32),
        )

    @staticmethod
    def _vertex_faces(faces, count):
        order = np.argsort(faces.ravel(), kind='stable')
        first = np.searchsorted(faces.ravel()[order], np.arange(count + 1))
        return (order // 3).astype(np.int32), first.astype(np.int32)

    @staticmethod
    def _normals(body):
        v, f = body.canonical.astype(np.float64), body.faces
        n = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
        out = np.zeros_like(v)
        for k in range(3):
            np.add.at(out, f[:, k], n)
        return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def rest(self, phenotypes, extras):
        """Rest vertices with accessories (B, V, 3), bone heads and tails (B, 31, 3)."""
        body = self.body
        vertices, heads, tails = body.rest(phenotypes)
        base, top = heads[:, BONE['Head']], tails[:, BONE['Head']]
        more = [
            place(body.unit, body.accessory_slices, extra, b, float(np.linalg.norm(t - b)))
            for extra, b, t in zip(extras, base, top)
        ]
        return np.concatenate([vertices, np.stack(more)], axis=1), heads, tails

    def pose_joints(self, rotations, heads, tails):
        """Joints (B, K, 3) and bone ends of posed bodies, world metres."""
        posed, ends = forward_kinematics(rotations, heads, tails)
        both = np.concatenate([posed, ends], axis=1)
        return np.stack([self._joint_weights @ row for row in both]), posed, ends

    def posed_vertices(self, rest, heads, posed, rotations, view, translation, people):
        """Dressed vertices in camera axes, a Warp array (B, V) of vec3."""
        wp = self._wp
        turn = view[:, None] @ rotations
        shift = apply(view[:, None], posed) + translation[:, None] - apply(turn, heads)
        out = wp.empty((len(rest), rest.shape[1]), dtype=wp.vec3, device=self.device)
        a = self._a
        wp.launch(
            self._geometry.skin_vertices,
            dim=out.shape,
            inputs=[
                self._put(rest, wp.vec3), a['canonical'], a['normals'], a['along'], a['weights'], a['bones'],
                self._put(turn, wp.mat33), self._put(shift, wp.vec3), people, self.body.num_body, out,
            ],
            device=self.device,
        )  # fmt: skip
        return out

    def _put(self, x, dtype):
        return self._wp.array(np.ascontiguousarray(x, np.float32), dtype=dtype, device=self.device)

    def _light_frames(self, lights, joints):
        """Fill the shadow camera of every light: orthographic, around the joints."""
        for light, points in zip(lights, joints):
            direction = np.asarray(light['to_light'], np.float64)
            side = np.cross(direction, [0, 1, 0] if abs(direction[1]) < 0.8 else [1, 0, 0])
            side /= np.linalg.norm(side)
            origin = (points.min(0) + points.max(0)) / 2
            light['origin'], light['axis_u'], light['axis_v'] = origin, side, np.cross(direction, side)
            light['span'] = np.linalg.norm(points - origin, axis=1).max() + 0.25
        return lights

    def draw(self, size, rest, heads, tails, rotations, view, translation, focal, centre, people, lights):
        """Draw B people, each alone in its picture.

        Args:
            size (int): Side of the pictures, pixels.
            rest, heads, tails: From :meth:`rest`.
            rotations (np.ndarray): (B, 31, 3, 3) bones, rest to posed, world axes.
            view, translation (np.ndarray): (B, 3, 3) and (B, 3), world to camera.
            focal (np.ndarray): (B,) pixels.
            centre (np.ndarray): (B, 2) principal point, index pixels.
            people, lights (np.ndarray): Records of ``records.Person`` and ``records.Light``.

        Returns:
            Drawing: See there.
        """
        import cv2

        wp, a, device, batch = self._wp, self._a, self.device, len(rest)
        joints, posed, ends = self.pose_joints(rotations, heads, tails)

        def see(x):
            return apply(view[:, None], x) + translation[:, None]

        seen = see(joints)
        lights = self._light_frames(lights.copy(), see(posed))
        people_array = wp.array(people, dtype=self.records.Person, device=device)
        light_array = wp.array(lights, dtype=self.records.Light, device=device)
        side = int(round(size * self.supersample))
        scale = side / size
        lens = np.zeros(batch, self._lens_dtype)
        lens['f'], lens['cx'], lens['cy'] = focal * scale, (centre[:, 0] + 0.5) * scale, (centre[:, 1] + 0.5) * scale
        lens_array = wp.array(lens, dtype=self.records.Lens, device=device)
        points = self.posed_vertices(rest, heads, posed, rotations, view, translation, people_array)
        normals = wp.empty_like(points)
        far = 1 << 62
        buffer = wp.full((batch, side, side), far, dtype=wp.int64, device=device)
        shadow = wp.full((batch, SHADOW_SIZE, SHADOW_SIZE), far, dtype=wp.int64, device=device)
        image = wp.empty((batch, side, side), dtype=wp.vec4, device=device)
        part = wp.empty((batch, side, side), dtype=wp.uint8, device=device)
        count = len(self.body.faces)

        def launch(kernel, dim, *inputs):
            wp.launch(kernel, dim=dim, inputs=list(inputs), device=device)

        launch(self._geometry.vertex_normals, points.shape, points, a['faces'], a['first'], a['around'], normals)
        launch(self._geometry.draw_faces, (batch, count), points, a['faces'], lens_array, buffer)
        launch(self._geometry.draw_shadow, (batch, count), points, a['faces'], light_array, shadow)
        launch(
            self._shade.shade, (batch, side, side), points, normals, a['faces'], a['canonical'], a['along'], a['kind'],
            a['part'], buffer, shadow, lens_array, light_array, people_array, image, part,
        )  # fmt: skip
        hidden = self._hidden(points, seen)
        drawn = image.numpy()
        small = np.stack([cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA) for x in drawn])
        rows = ((np.arange(size) + 0.5) * scale).astype(int)
        parts = part.numpy()[:, rows][:, :, rows]
        return Drawing(small, parts, seen, hidden, see(posed), see(ends))

    def _hidden(self, points, joints):
        """Whether the first surface before each joint belongs to a part that is not the joint's own."""
        wp = self._wp
        face = wp.empty(joints.shape[:2], dtype=wp.int32, device=self.device)
        depth = wp.empty(joints.shape[:2], dtype=wp.float32, device=self.device)
        wp.launch(
            self._geometry.first_hits,
            dim=joints.shape[:2],
            inputs=[points, self._a['faces'], self._put(joints, wp.vec3), face, depth],
            device=self.device,
        )
        return hidden_joints(face.numpy(), depth.numpy(), joints, self.body.face_part, self._own_parts)


def hidden_joints(face, depth, joints, face_part, own_parts, margin=0.03, reach=0.18):
    """Self-occlusion from the first surface on the way to each joint.

    Args:
        face (np.ndarray): (B, K) first triangle met, -1 for none.
        depth (np.ndarray): (B, K) its depth, metres.
        joints (np.ndarray): (B, K, 3) camera axes, metres.
        face_part (np.ndarray): (F,) part numbers.
        own_parts (np.ndarray): (K, parts + 1) bool, parts that do not hide a joint.
        margin (float): Surfaces not nearer than this before the joint do not hide it, metres.
        reach (float): A joint's own part hides it too from this far: the trunk seen from its other side, metres.

    Returns:
        np.ndarray: (B, K) bool.
    """
    part = face_part[np.maximum(face, 0)]
    own = own_parts[np.arange(joints.shape[1])[None], part]
    gap = joints[..., 2] - depth
    return (face >= 0) & (gap > np.where(own, reach, margin))
