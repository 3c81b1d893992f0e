"""Makes pyiceberg write the tables of an object store to a folder, from which they can later be put into any store unchanged."""

from urllib.parse import urlparse

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO


class MirrorFileIO(PyArrowFileIO):
    """`s3://bucket/key` is the file `ROOT/bucket/key`; ROOT is the catalog's property `mirror.root`."""

    def new_input(self, location: str) -> InputFile:
        return super().new_input(self._local(location))

    def new_output(self, location: str) -> OutputFile:
        output = super().new_output(self._local(location))
        # The written files contain these paths: a manifest list has the paths of its manifests.
        output._location = location
        return output

    def delete(self, location: str | InputFile | OutputFile) -> None:
        super().delete(self._local(location if isinstance(location, str) else location.location))

    def _local(self, location: str) -> str:
        uri = urlparse(location)
        return f"file://{self.properties['mirror.root']}/{uri.netloc}{uri.path}" if uri.scheme == "s3" else location
