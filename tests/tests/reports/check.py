"""Reads what `sialoscope analyze --out` wrote with pydicom and highdicom, and compares it with findings.json
and with the images: numbers, sides, UIDs, masks voxel for voxel, the picture pixel by pixel."""

import json
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
from PIL import Image
from pydicom import dcmread

out, images = Path(sys.argv[1]), Path(sys.argv[2])
findings = json.loads((out / "findings.json").read_text())
sources = {}
for path in sorted(p for p in images.rglob("*") if p.is_file()):
    data = dcmread(path, stop_before_pixels=True, force=True)
    if "SOPInstanceUID" in data:
        sources[data.SOPInstanceUID] = data
first = next(iter(sources.values()))

REPEATED = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "StudyInstanceUID",
    "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription"]


def written(data, keyword):
    return str(data[keyword].value) if keyword in data else ""


def linear(mask, at):
    """Trilinear interpolation; the outermost voxels reach half a voxel beyond their centre."""
    shape = np.array(mask.shape)
    there = np.all((at >= -0.5) & (at <= shape - 0.5), axis=-1)
    at = np.clip(at, 0, shape - 1)
    low = np.minimum(np.floor(at).astype(int), shape - 1)
    high = np.minimum(low + 1, shape - 1)
    part = at - low
    total = np.zeros(at.shape[:-1])
    for corner in range(8):
        bits = [(corner >> axis) & 1 for axis in range(3)]
        index = tuple(np.where(bit, high[..., a], low[..., a]) for a, bit in enumerate(bits))
        weight = np.prod([part[..., a] if bit else 1 - part[..., a] for a, bit in enumerate(bits)], axis=0)
        total += weight * mask[index]
    return total * there


def expected(lesion, source):
    """The lesion's mask on one slice of the source series."""
    grid = lesion["mask"]["grid"]
    mask = np.zeros(int(np.prod(grid["shape"])))
    for start, end in lesion["mask"]["runs"]:
        mask[start:end] = 1
    mask = mask.reshape(grid["shape"])
    steps = np.array([grid["slice_step"], grid["row_step"], grid["column_step"]]).T
    orientation = np.array([float(v) for v in source.ImageOrientationPatient])
    spacing = [float(v) for v in source.PixelSpacing]
    rows, columns = np.mgrid[0 : source.Rows, 0 : source.Columns]
    place = (np.array([float(v) for v in source.ImagePositionPatient])
        + columns[..., None] * orientation[:3] * spacing[1] + rows[..., None] * orientation[3:] * spacing[0])
    return linear(mask, (place - np.array(grid["origin"])) @ np.linalg.inv(steps).T)


def check_general(data, modality):
    for keyword in REPEATED:
        assert written(data, keyword) == written(first, keyword), keyword
    assert data.Modality == modality
    assert data.ContentQualification == "RESEARCH"
    assert data.SeriesInstanceUID not in {s.SeriesInstanceUID for s in sources.values()}
    assert "RESEARCH USE ONLY" in data.SeriesDescription
    assert data.SoftwareVersions if isinstance(data.SoftwareVersions, str) else data.SoftwareVersions[0]


def number(group, value):
    found = [float(m.value) for m in group.get_measurements() if m.name.value == value]
    assert len(found) == 1, (value, found)
    return found[0]


CODES = {"benign": "P_BENIGN", "malignant": "P_MALIGNANT", "pleomorphic adenoma": "P_PA",
    "Warthin tumour": "P_WARTHIN", "basal cell adenoma": "P_BCA"}

report = hd.sr.srread(out / "sr.dcm")
check_general(report, "SR")
assert (report.VerificationFlag, report.CompletionFlag) == ("UNVERIFIED", "COMPLETE")
groups = report.content.get_volumetric_roi_measurement_groups()
lesions = findings["lesions"]
assert len(groups) == len(lesions), (len(groups), len(lesions))
for group, lesion in zip(groups, lesions):
    site = group.finding_sites[0]
    assert site.value.value == "45289007"
    side = {"left": "7771000", "right": "24028007"}[lesion["side"]]
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeValue == side
    assert np.isclose(number(group, "103339001"), lesion["long_axis_mm"])
    assert np.isclose(number(group, "118565006"), lesion["volume_ml"])
    if lesion["mean_adc"] is not None:
        assert np.isclose(number(group, "113041"), lesion["mean_adc"] * 1e-3)
    for task in lesion["tasks"]:
        for label in task["labels"]:
            code = CODES[label["label"]]
            if (task["task"], label["label"]) != ("subtype", "malignant"):
                assert np.isclose(number(group, code), 100 * label["probability"])
                low, high = label["interval"]
                assert np.isclose(number(group, code + "_LOW"), 100 * low)
                assert np.isclose(number(group, code + "_HIGH"), 100 * high)
texts = [item.TextValue for item in report.ContentSequence[-1].ContentSequence if item.ValueType == "TEXT"]
assert "Research use only, not for diagnosis" in texts, texts
if findings["outcome"] == "cannot_answer":
    assert not groups and not [item for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    for reason in findings["reasons"]:
        assert any(reason["text"][:20].isascii() is False or reason["text"][:20] in text for text in texts), reason

capture = dcmread(out / "sc.dcm")
check_general(capture, "OT")
assert capture.BurnedInAnnotation == "YES"
assert np.array_equal(capture.pixel_array, np.array(Image.open(out / "screen.png").convert("RGB")))

voxels = 0
if lesions:
    segmentation = hd.seg.segread(out / "seg.dcm")
    check_general(segmentation, "SEG")
    assert segmentation.number_of_segments == len(lesions)
    for place, lesion in enumerate(lesions, 1):
        described = segmentation.get_segment_description(place)
        assert described.tracking_uid == groups[place - 1].tracking_uid
        reference = groups[place - 1].referenced_segment
        assert reference.referenced_sop_instance_uid == segmentation.SOPInstanceUID
    images_of = {uid for _, _, uid in segmentation.get_source_image_uids()}
    series = {sources[uid].SeriesInstanceUID for uid in images_of}
    assert len(series) == 1, "all slices are of one series"
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    seen = {}
    for frame, groups_of_frame in zip(frames, segmentation.PerFrameFunctionalGroupsSequence):
        place = groups_of_frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        image = groups_of_frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        position = groups_of_frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose([float(v) for v in position],
            [float(v) for v in sources[image].ImagePositionPatient], atol=2e-3)
        seen[place, image] = frame
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for uid, source in sources.items():
        if source.SeriesInstanceUID not in series:
            continue
        assert segmentation.FrameOfReferenceUID == source.FrameOfReferenceUID
        orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        assert np.allclose([float(v) for v in orientation], [float(v) for v in source.ImageOrientationPatient], atol=1e-5)
        for place, lesion in enumerate(lesions, 1):
            level = expected(lesion, source)
            frame = seen.get((place, uid), np.zeros_like(level))
            wrong = (frame == 1) != (level >= 0.5)
            # On the line itself rounding decides.
            assert not np.any(wrong & (np.abs(level - 0.5) > 1e-6)), (uid, int(wrong.sum()))
            voxels += int(frame.sum())
    assert voxels > 0
print(findings["outcome"], len(lesions), voxels)
