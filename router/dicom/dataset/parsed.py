"""A stored file as a pydicom data set, for uses that need more than its header."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from router.dicom import libraries
from router.dicom.dataset.elements import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN, inflate
from router.dicom.dataset.part10 import dataset_offset

_LARGEST_INFLATED = 2**28  # bytes


def parsed(path: Path, keywords: Sequence[str] | None = None) -> Dataset:
    """The data set, or those elements of it, with its transfer syntax.

    pydicom's own reader of files would take elements of group 0002 at the beginning of the data set for the file's.
    Raises any exception of pydicom's on data that it cannot read.
    """
    libraries.settle()
    with path.open("rb") as file:
        meta = dataset_offset(file)
        file.seek(meta.offset)
        deflated = meta.transfer_syntax in DEFLATED
        source = BytesIO(inflate(file.read(), meta.transfer_syntax, _LARGEST_INFLATED)) if deflated else file
        dataset = read_dataset(
            source,
            is_implicit_VR=meta.transfer_syntax == IMPLICIT_LITTLE_ENDIAN,
            is_little_endian=meta.transfer_syntax != EXPLICIT_BIG_ENDIAN,
            specific_tags=None if keywords is None else [Tag(keyword) for keyword in keywords],
        )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(meta.transfer_syntax)
    return dataset
