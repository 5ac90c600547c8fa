import cv2
import simplejpeg

from landmarks.data.demo.boxes.classes import CLASSES, ancestors
from landmarks.data.demo.boxes.drawing import draw_pictures
from landmarks.data.demo.boxes.plan import draw_plan
from landmarks.data.demo.plan import NOTHING

cv2.setNumThreads(1)
LANDMARK_LIKE = {"Building", "Castle", "Lighthouse", "Skyscraper", "Tower"}


def test_pictures_come_in_the_order_of_the_plan_and_say_what_they_lack() -> None:
    plan = draw_plan(1, 12)[3:8]
    drawn = list(draw_pictures(plan, 1, workers=0))
    assert [picture for picture, _ in drawn] == plan
    for picture, one in drawn:
        height, width, *_ = simplejpeg.decode_jpeg_header(one.jpeg)
        assert min(height, width) >= 250
        shown = {box.title for box in one.boxes}
        assert shown <= set(CLASSES) and len(set(one.absent)) == len(one.absent)
        assert not set(one.absent) & (shown | {above for title in shown for above in ancestors(title)})
        if picture.subject != NOTHING:
            assert shown & LANDMARK_LIKE, "a photograph of a landmark has a box around it"
    assert sum(len(one.absent) for _, one in drawn) > 5 * 8, "most of the classes are surely absent"
