"""Facts for series rules, from an instance's elements; of enhanced instances also from their frames."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from router.dicom.dataset import tags
from router.dicom.dataset.dataset import Elements
from router.dicom.dataset.uid import clean
from router.errors import InvalidData
from router.model import SeriesFacts
from router.series.read import described_thickness, distance_of, length, number, numbers, values, whole
from router.series.study import KEY_OBJECT_SELECTION

_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CONCEPT_NAME, _CONTENT_TEMPLATE, _CONTENT, _EVIDENCE = 0x0040A043, 0x0040A504, 0x0040A730, 0x0040A375
_REFERENCED_SERIES, _REFERENCED_IMAGE, _REFERENCED_SOP = 0x00081115, 0x00081140, 0x00081199
_REFERENCED_INSTANCE_UID = 0x00081155
_PIXEL_MEASURES, _PLANE_POSITION, _PLANE_ORIENTATION = 0x00289110, 0x00209113, 0x00209116
_FRAME_TYPES = (0x00189329, 0x00189226, 0x00189751, 0x00189504)  # CT, MR, PET, XA
_THICKNESS, _SPACING = 0x00180050, 0x00180088
_DEEPEST_TREE = 16
_MOST_FRAMES = 2**14  # whose positions are read
_MOST_REFERENCES = 2**17


def facts_of(read: Elements) -> SeriesFacts:
    """The facts of one instance; `slice_count` and `slice_distance` only from the frames of a multi-frame one."""
    sop_class = clean(read.text(tags.SOP_CLASS))
    manufacturer, description = read.text(0x00080070), read.text(0x0008103E)
    facts = SeriesFacts(
        modality=read.text(0x00080060),
        sop_class_uid=sop_class,
        manufacturer=manufacturer,
        manufacturer_model=read.text(0x00081090),
        image_type=values(read.text(tags.IMAGE_TYPE)),
        series_description=description,
        study_description=read.text(tags.STUDY_DESCRIPTION),
        protocol_name=read.text(0x00181030),
        series_number=whole(read.text(0x00200011)),
        body_part=read.text(0x00180015),
        contrast_agent=read.text(0x00180010),
        number_of_frames=whole(read.text(tags.NUMBER_OF_FRAMES)),
        image_rows=read.unsigned(tags.ROWS),
        image_columns=read.unsigned(tags.COLUMNS),
        samples_per_pixel=read.unsigned(tags.SAMPLES_PER_PIXEL),
        photometric=read.text(tags.PHOTOMETRIC),
        slice_thickness=length(number(read.text(_THICKNESS))),
        spacing_between_slices=length(number(read.text(_SPACING))),
        image_orientation=_rounded(numbers(read.text(tags.IMAGE_ORIENTATION))),
        orientation=plane_of(numbers(read.text(tags.IMAGE_ORIENTATION))),
        scan_options=read.text(0x00180022),
        kernel=read.text(0x00181210),
        acquisition_type=read.text(0x00189302),
        conversion_type=read.text(0x00080064),
        burned_in_annotation=read.text(0x00280301),
        derivation_description=read.text(tags.DERIVATION_DESCRIPTION),
        image_comments=read.text(0x00204000),
        scanning_sequence=read.text(0x00180020),
        sequence_name=read.text(0x00180024),
        mr_acquisition_type=read.text(0x00180023),
        presentation_intent=read.text(0x00080068),
        sc_device_manufacturer=read.text(0x00181016),
        described_thickness=described_thickness(description, manufacturer),
    )
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return replace(facts, window_center=number(read.text(0x00281050)), window_width=number(read.text(0x00281051)))
    if not facts.modality or facts.image_rows is None or facts.number_of_frames is not None:
        return _with_frames(_with_document(facts, read), read)
    return facts


def position_of(read: Elements) -> float | None:
    """The slice's position along the normal of its plane, in mm (PS3.3 C.7.6.2.1.1)."""
    normal = _normal(numbers(read.text(tags.IMAGE_ORIENTATION)))
    return _along(numbers(read.text(tags.IMAGE_POSITION)), normal)


def references_of(read: Elements) -> tuple[str, ...]:
    """The SOP instances that a key object selection or a presentation state refers to; () for other instances."""
    sop_class = clean(read.text(tags.SOP_CLASS))
    found: Iterator[str] = iter(())
    if sop_class == KEY_OBJECT_SELECTION:
        found = _in_content(read, _DEEPEST_TREE)
    elif sop_class.startswith(_PRESENTATION_STATES):
        found = (
            _instance(image) for series in read.items(_REFERENCED_SERIES) for image in series.items(_REFERENCED_IMAGE)
        )
    uids = tuple(dict.fromkeys(uid for uid in islice(found, _MOST_REFERENCES) if uid))
    if next(found, None) is not None:
        raise InvalidData("more references than any real instance has")
    if uids or sop_class != KEY_OBJECT_SELECTION:
        return uids
    evidence = (series for study in read.items(_EVIDENCE) for series in study.items(_REFERENCED_SERIES))
    return tuple(dict.fromkeys(_instance(one) for series in evidence for one in series.items(_REFERENCED_SOP)))


def plane_of(orientation: tuple[float, ...]) -> str:
    """AX, SAG or COR by the axis nearest to the normal, with "-obl" when it is tilted; "" when unknown."""
    normal = _normal(orientation)
    if normal is None:
        return ""
    sizes = [abs(part) for part in normal]
    name = ("SAG", "COR", "AX")[sizes.index(max(sizes))]
    return name if max(sizes) > 0.9 else f"{name}-obl"


def _with_document(facts: SeriesFacts, read: Elements) -> SeriesFacts:
    template, title = _first([read], _CONTENT_TEMPLATE), _first([read], _CONCEPT_NAME)
    code = (0x00080100, 0x00080102, 0x00080104)  # code, scheme and meaning of the title (PS3.3 C.17.3)
    return replace(
        facts,
        concept_name="|".join(title.text(tag) for tag in code) if title else "",
        template_id=template.text(0x0040DB00) if template else "",
        content_label=read.text(0x00700080),
        content_description=read.text(0x00700081),
        document_title=read.text(0x00420010),
    )


# -- functional groups (PS3.3 C.7.6.16)


def _with_frames(facts: SeriesFacts, read: Elements) -> SeriesFacts:
    shared = read.items(tags.SHARED_GROUPS, 1)
    frames = read.items(tags.PER_FRAME_GROUPS, _MOST_FRAMES)
    if not shared and not frames:
        return facts
    groups = [*shared, *frames[:1]]
    measures = _first(groups, _PIXEL_MEASURES)
    measured = (length(number(measures.text(tag))) if measures else None for tag in (_THICKNESS, _SPACING))
    thickness, spacing = measured
    plane = _first(groups, _PLANE_ORIENTATION)
    orientation = numbers(plane.text(tags.IMAGE_ORIENTATION)) if plane else ()
    kinds = (kind for sequence in _FRAME_TYPES if (kind := _first(groups, sequence)))
    frame_type = next((values(kind.text(0x00089007)) for kind in kinds), ())
    count, distance = _frame_distance(frames, _normal(orientation))
    return replace(
        facts,
        frame_type=frame_type,
        slice_thickness=facts.slice_thickness or thickness,
        spacing_between_slices=facts.spacing_between_slices or spacing,
        image_orientation=facts.image_orientation or _rounded(orientation),
        orientation=facts.orientation or plane_of(orientation),
        slice_count=count,
        slice_distance=distance,
    )


def _first(groups: list[Elements], sequence: int) -> Elements | None:
    return next((item for group in groups for item in group.items(sequence, 1)), None)


def _frame_distance(frames: list[Elements], normal: tuple[float, ...] | None) -> tuple[int | None, float | None]:
    texts = [item.text(tags.IMAGE_POSITION) for frame in frames for item in frame.items(_PLANE_POSITION, 1)]
    positions = [found for text in texts if (found := _along(numbers(text), normal)) is not None]
    return distance_of(positions)


# -- geometry


def _normal(orientation: tuple[float, ...]) -> tuple[float, ...] | None:
    if len(orientation) != 6:
        return None
    (a, b, c), (d, e, f) = orientation[:3], orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    size = math.hypot(*normal)
    return tuple(part / size for part in normal) if size > 0.5 else None


def _along(position: tuple[float, ...], normal: tuple[float, ...] | None) -> float | None:
    if normal is None or len(position) != 3:
        return None
    return round(sum(p * n for p, n in zip(position, normal, strict=True)), 3)


def _rounded(orientation: tuple[float, ...]) -> str:
    return "\\".join(f"{round(part, 2) + 0.0:g}" for part in orientation) if len(orientation) == 6 else ""


# -- references


def _in_content(read: Elements, depth: int) -> Iterator[str]:
    if not depth:
        return
    for item in read.items(_CONTENT):
        yield from (_instance(one) for one in item.items(_REFERENCED_SOP))
        yield from _in_content(item, depth - 1)


def _instance(item: Elements) -> str:
    return clean(item.text(_REFERENCED_INSTANCE_UID))
