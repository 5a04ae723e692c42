"""Draws batches of figures with Warp: rest shapes and rotations in, premultiplied pictures, parts and joints out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import forward_kinematics, require_synth
from .rotations import apply


@dataclass
class Drawing:
    """What is drawn of B figures.

    Attributes:
        image (np.ndarray): (B, S, S, 4) float32 linear light, premultiplied by alpha.
        part (np.ndarray): (B, S, S) uint8 part numbers (of the figure's rig; 0 background), nearest pixel.
        joints (np.ndarray): (B, K, 3) in camera axes, metres.
        hidden (np.ndarray): (B, K) bool, another part of the figure is in front of the joint.
        bone_heads, bone_tails (np.ndarray): (B, bones, 3) in camera axes, metres.
    """

    image: np.ndarray
    part: np.ndarray
    joints: np.ndarray
    hidden: np.ndarray
    bone_heads: np.ndarray
    bone_tails: np.ndarray


class MeshRenderer:
    """What drawing people and hands has in common; a subclass says how vertices are dressed and pixels coloured.

    Args:
        model (BodyModel | HandModel): Mesh with its faces, parts and skinning.
        parents (sequence[int]): Parent of each bone, -1 for the root, parents first.
        joints (tuple): Names, weights and own parts of the joints, see ``rig.joint_table``.
        device (str): ``cpu``, ``cuda`` or another device of Warp's.
        supersample (float): Drawn at this many times the size and area-averaged.
    """

    shadow_size = 160  #: pixels of the light's depth buffer
    shadow_pad = 0.25  #: metres around the bones that it covers
    shadow_bones = slice(None)  #: bones that it covers
    margin, reach = 0.03, 0.18  #: metres, see :func:`hidden_joints`

    def __init__(self, model, parents, joints, device='cpu', supersample=1.5):
        _, wp = require_synth()
        from . import geometry_kernels, records

        self._wp, self._geometry, self.records = wp, geometry_kernels, records
        self.model, self._parents = model, parents
        self.device, self.supersample = device, supersample
        self.joint_names, self._joint_weights, self._own_parts = joints
        self.light_dtype = records.Light.numpy_dtype()
        self._lens_dtype = records.Lens.numpy_dtype()
        around, first = self._vertex_faces(model.faces, len(model.canonical))
        self._a = dict(
            faces=self._fixed(model.faces, wp.int32),
            canonical=self._fixed(model.canonical, wp.vec3),
            normals=self._fixed(vertex_normals(model.canonical, model.faces), wp.vec3),
            weights=self._fixed(model.weights, wp.float32),
            bones=self._fixed(model.bones, wp.int32),
            first=self._fixed(first, wp.int32),
            around=self._fixed(around, wp.int32),
            kind=self._fixed(model.face_kind, wp.int32),
            part=self._fixed(model.face_part, wp.int32),
        )

    def _skin(self, rest, turn, shift, figures, out):
        """Dress the rest vertices (B, V) and move them to camera axes, all Warp arrays."""
        raise NotImplementedError

    def _shade(self, points, normals, buffer, shadow, lenses, lights, figures, image, part):
        """Colour the pixels of the depth buffer, all Warp arrays."""
        raise NotImplementedError

    def _figures(self, records):
        """Records of looks as a Warp array."""
        raise NotImplementedError

    def _fixed(self, x, dtype):
        return self._wp.array(np.ascontiguousarray(x), dtype=dtype, device=self.device)

    def _put(self, x, dtype):
        return self._wp.array(np.ascontiguousarray(x, np.float32), dtype=dtype, device=self.device)

    def _launch(self, kernel, dim, *inputs):
        self._wp.launch(kernel, dim=dim, inputs=list(inputs), device=self.device)

    @staticmethod
    def _vertex_faces(faces, count):
        order = np.argsort(faces.ravel(), kind='stable')
        first = np.searchsorted(faces.ravel()[order], np.arange(count + 1))
        return (order // 3).astype(np.int32), first.astype(np.int32)

    def pose_joints(self, rotations, heads, tails):
        """Joints (B, K, 3) and bone ends of posed figures, world metres."""
        posed, ends = forward_kinematics(rotations, heads, tails, self._parents)
        both = np.concatenate([posed, ends], axis=1)
        return np.stack([self._joint_weights @ row for row in both]), posed, ends

    def posed_vertices(self, rest, heads, posed, rotations, view, translation, figures):
        """Dressed vertices in camera axes, a Warp array (B, V) of vec3."""
        wp = self._wp
        turn = view[:, None] @ rotations
        shift = apply(view[:, None], posed) + translation[:, None] - apply(turn, heads)
        out = wp.empty((len(rest), rest.shape[1]), dtype=wp.vec3, device=self.device)
        self._skin(self._put(rest, wp.vec3), self._put(turn, wp.mat33), self._put(shift, wp.vec3), figures, out)
        return out

    def _light_frames(self, lights, joints):
        """Fill the shadow camera of every light: orthographic, around the joints."""
        for light, points in zip(lights, joints):
            direction = np.asarray(light['to_light'], np.float64)
            side = np.cross(direction, [0, 1, 0] if abs(direction[1]) < 0.8 else [1, 0, 0])
            side /= np.linalg.norm(side)
            origin = (points.min(0) + points.max(0)) / 2
            light['origin'], light['axis_u'], light['axis_v'] = origin, side, np.cross(direction, side)
            light['span'] = np.linalg.norm(points - origin, axis=1).max() + self.shadow_pad
        return lights

    def draw(self, size, rest, heads, tails, rotations, view, translation, focal, centre, figures, lights):
        """Draw B figures, each alone in its picture.

        Args:
            size (int): Side of the pictures, pixels.
            rest (np.ndarray): (B, V, 3) vertices at rest.
            heads, tails (np.ndarray): (B, bones, 3) bone ends at rest, metres.
            rotations (np.ndarray): (B, bones, 3, 3) bones, rest to posed, world axes.
            view, translation (np.ndarray): (B, 3, 3) and (B, 3), world to camera.
            focal (np.ndarray): (B,) pixels.
            centre (np.ndarray): (B, 2) principal point, index pixels.
            figures, lights (np.ndarray): Records of the figures' looks (``records``) and of ``records.Light``.

        Returns:
            Drawing: See there.
        """
        import cv2

        wp, a, device, batch = self._wp, self._a, self.device, len(rest)
        joints, posed, ends = self.pose_joints(rotations, heads, tails)

        def see(x):
            return apply(view[:, None], x) + translation[:, None]

        seen = see(joints)
        lights = self._light_frames(lights.copy(), see(posed)[:, self.shadow_bones])
        figures = self._figures(figures)
        light_array = wp.array(lights, dtype=self.records.Light, device=device)
        side = int(round(size * self.supersample))
        scale = side / size
        lens = np.zeros(batch, self._lens_dtype)
        lens['f'], lens['cx'], lens['cy'] = focal * scale, (centre[:, 0] + 0.5) * scale, (centre[:, 1] + 0.5) * scale
        lens_array = wp.array(lens, dtype=self.records.Lens, device=device)
        points = self.posed_vertices(rest, heads, posed, rotations, view, translation, figures)
        normals = wp.empty_like(points)
        far, patch = 1 << 62, self.shadow_size
        buffer = wp.full((batch, side, side), far, dtype=wp.int64, device=device)
        shadow = wp.full((batch, patch, patch), far, dtype=wp.int64, device=device)
        image = wp.empty((batch, side, side), dtype=wp.vec4, device=device)
        part = wp.empty((batch, side, side), dtype=wp.uint8, device=device)
        count, kernels = len(self.model.faces), self._geometry
        self._launch(kernels.vertex_normals, points.shape, points, a['faces'], a['first'], a['around'], normals)
        self._launch(kernels.draw_faces, (batch, count), points, a['faces'], lens_array, buffer)
        self._launch(kernels.draw_shadow, (batch, count), points, a['faces'], light_array, shadow)
        self._shade(points, normals, buffer, shadow, lens_array, light_array, figures, image, part)
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
        self._launch(
            self._geometry.first_hits,
            joints.shape[:2],
            points,
            self._a['faces'],
            self._put(joints, wp.vec3),
            face,
            depth,
        )
        return hidden_joints(
            face.numpy(), depth.numpy(), joints, self.model.face_part, self._own_parts, self.margin, self.reach
        )


def vertex_normals(vertices, faces):
    """Area-weighted unit normals (V, 3) float32 of vertices (V, 3) with triangles (F, 3)."""
    v, f = vertices.astype(np.float64), faces
    n = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    out = np.zeros_like(v)
    for k in range(3):
        np.add.at(out, f[:, k], n)
    return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def hidden_joints(face, depth, joints, face_part, own_parts, margin=0.03, reach=0.18):
    """Self-occlusion from the first surface on the way to each joint.

    Args:
        face (np.ndarray): (B, K) first triangle met, -1 for none.
        depth (np.ndarray): (B, K) its depth, metres.
        joints (np.ndarray): (B, K, 3) camera axes, metres.
        face_part (np.ndarray): (F,) part numbers.
        own_parts (np.ndarray): (K, parts + 1) bool, parts that do not hide a joint.
        margin (float): Surfaces not nearer than this before the joint do not hide it, metres.
        reach (float | np.ndarray): A joint's own part hides it too from this far: the trunk seen from its other side.
            Metres; one number, or (K,).

    Returns:
        np.ndarray: (B, K) bool.
    """
    part = face_part[np.maximum(face, 0)]
    own = own_parts[np.arange(joints.shape[1])[None], part]
    gap = joints[..., 2] - depth
    return (face >= 0) & (gap > np.where(own, reach, margin))
