"""The size of one picture from its first bytes, for what is planned before anything is decoded."""

from landmarks.data.images.decoding import MAX_PIXELS, UnreadableImageError, open_image
from landmarks.data.images.jpeg_header import TruncatedHeaderError, read_jpeg_header
from landmarks.data.source import ImageSet

HEAD = 4096  # bytes; the headers of photographs without EXIF end before 1,000
LARGEST = 2**16 - 1  # sizes are kept as uint16


def read_size(images: ImageSet, row: int) -> tuple[int, int]:
    """Height and width of one picture, upright, as `decode` would give it; 0 x 0 if its header cannot be read.

    Raises:
        MissingImageError: Its bytes are not there.
    """
    data = images.read(row, HEAD)
    try:
        while True:
            try:
                header = read_jpeg_header(data)
            except TruncatedHeaderError as error:
                more = images.read(row, max(error.needed, 4 * len(data)))
                if len(more) == len(data):
                    raise
                data = more
            else:
                height, width = header.upright
                return (height, width) if 0 < height * width <= MAX_PIXELS else (0, 0)
    except ValueError:  # not a JPEG, or an odd one
        try:
            image = open_image(images.read(row))
        except UnreadableImageError:
            return 0, 0
        return min(image.height, LARGEST), min(image.width, LARGEST)
