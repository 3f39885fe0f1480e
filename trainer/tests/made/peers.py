"""Writes SEG objects of two balls with highdicom, and a structure set of a ring and a disc with pydicom, about the study in a
folder: STUDY OUT"""
import sys, math, pathlib, numpy as np, pydicom, highdicom as hd
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
study, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
images = [pydicom.dcmread(p) for p in sorted(study.iterdir())]
rows, columns = images[0].Rows, images[0].Columns
k, r, c = np.mgrid[:len(images), :rows, :columns]
balls = [(k-3)**2*4 + (r-15)**2 + (c-20)**2 <= 36, (k-8)**2*4 + (r-30)**2 + (c-45)**2 <= 64]
def segment(n):
    return hd.seg.SegmentDescription(segment_number=n, segment_label=f'Lesion {n}',
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure, segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL)
def save(name, pixels, kind, syntax=ExplicitVRLittleEndian, **more):
    seg = hd.seg.Segmentation(source_images=images, pixel_array=pixels, segmentation_type=kind,
        segment_descriptions=[segment(1), segment(2)], series_instance_uid=generate_uid(), series_number=9,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer='peer', manufacturer_model_name='peer',
        software_versions='1', device_serial_number='1', transfer_syntax_uid=ExplicitVRLittleEndian, **more)
    seg.file_meta.TransferSyntaxUID = syntax
    seg.save_as(out / name)
    return seg
both = np.stack(balls, axis=-1)
save('binary.dcm', both.astype(np.uint8), 'BINARY')
bare = save('bare.dcm', both.astype(np.uint8), 'BINARY')
measures = bare.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
measures.pop('SpacingBetweenSlices', None)
bare.save_as(out / 'bare.dcm')
save('deflated.dcm', both.astype(np.uint8), 'BINARY', DeflatedExplicitVRLittleEndian)
save('whole.dcm', both.astype(np.uint8), 'BINARY', omit_empty_frames=False)
soft = np.where(both, 0.8, 0.3 * (np.roll(both, 1, axis=1)))
save('fractional.dcm', soft.astype(np.float32), 'FRACTIONAL')
save('labelmap.dcm', (balls[0] + 2 * balls[1]).astype(np.uint8), 'LABELMAP')
big = both.copy()
big[..., 1] |= balls[0]
save('overlap.dcm', big.astype(np.uint8), 'BINARY')

rt = FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=b'\0'*128)
rt.file_meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.481.3'
rt.file_meta.MediaStorageSOPInstanceUID = generate_uid()
rt.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
rt.SOPClassUID, rt.SOPInstanceUID = rt.file_meta.MediaStorageSOPClassUID, rt.file_meta.MediaStorageSOPInstanceUID
rt.Modality, rt.PatientID, rt.StudyInstanceUID, rt.SeriesInstanceUID = 'RTSTRUCT', images[0].PatientID, images[0].StudyInstanceUID, generate_uid()
frame, in_study, in_series = Dataset(), Dataset(), Dataset()
in_series.SeriesInstanceUID = images[0].SeriesInstanceUID
in_study.ReferencedSOPInstanceUID, in_study.RTReferencedSeriesSequence = images[0].StudyInstanceUID, [in_series]
frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = images[0].FrameOfReferenceUID, [in_study]
rt.ReferencedFrameOfReferenceSequence = [frame]
def circle(image, row, column, mm, points=120):
    o = np.array(image.ImageOrientationPatient, float)
    middle = np.array(image.ImagePositionPatient, float) + column*image.PixelSpacing[1]*o[:3] + row*image.PixelSpacing[0]*o[3:]
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = 'CLOSED_PLANAR', points
    turns = [2*math.pi*n/points for n in range(points)]
    contour.ContourData = [f'{x:.4f}' for t in turns for x in middle + mm*(math.cos(t)*o[:3] + math.sin(t)*o[3:])]
    return contour
def region(number, name, contours):
    info, drawn = Dataset(), Dataset()
    info.ROINumber, info.ROIName, info.ReferencedFrameOfReferenceUID = number, name, images[0].FrameOfReferenceUID
    drawn.ReferencedROINumber, drawn.ContourSequence = number, contours
    return info, drawn
ring = [circle(images[n], 20.3, 30.2, mm) for n in (4, 5, 6) for mm in (24, 9)]
disc = [circle(images[n], 30.6, 50.4, 13) for n in (9, 10)]
regions = [region(7, 'tumour', ring), region(900, 'gland', disc)]
rt.StructureSetROISequence, rt.ROIContourSequence = [a for a, _ in regions], [b for _, b in regions]
rt.save_as(out / 'rt.dcm', enforce_file_format=True)
