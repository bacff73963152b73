"""Preparation beside what people would use: Pillow in a loop on one core, and torchvision's ImageFolder with workers.

On photographs of ILSVRC's usual size. Both shares of the ideal, cores x Pillow, are told: that of packing (decoding,
storing, journal) and that of the whole command, with its start, listing, statistics, digests and index.
"""

from dataclasses import replace

import pytest
from contest import Contender, Contest, in_both
from judging import compare_speed
from sizes import CORES, pick

LINEAR = 0.9  # of cores x Pillow's rate on one core


@pytest.mark.benchmark(group="preparation")
def test_preparation(hold, record, photographs, tmp_path):
    folder = str(photographs)
    ours = Contender(
        "prepare, whole", "contenders.preparation:make_ours", {"folder": folder, "data": str(tmp_path)}, threads=CORES
    )
    pillow = Contender("Pillow loop, one core", "contenders.preparation:make_pillow", {"folder": folder, "share": 4})
    loader = Contender(
        f"ImageFolder, {CORES} workers",
        "contenders.preparation:make_loader",
        {"folder": folder, "workers": CORES},
        "plain",
        CORES,
    )
    plain, same = in_both(pillow)
    with Contest([ours, plain, same, loader]) as contest:
        hold(contest, rounds=pick(3, 2))
        found = contest.results()
        details = contest.details(ours.label)
    # The memory seen is that of the process that started the verb.
    found[ours.label] = whole = replace(found[ours.label], peak_rss_bytes=None, peak_anonymous_bytes=None)
    packing = replace(whole, name="prepare, packing alone", seconds=[each["packing_s"] for each in details])
    record(
        f"preparation of {whole.units[0]:,.0f} photographs",
        "images",
        [packing, *found.values()],
        [
            *(
                compare_speed(own, found[rival.label], LINEAR, cores=(CORES, 1))
                for own in (packing, whole)
                for rival in (plain, same)
            ),
            compare_speed(whole, found[loader.label], 1.0),
        ],
        note=f"ratios to Pillow are per core: ours on {CORES} cores over {CORES} times Pillow's on one; no floor is "
        "given, as decoding is libjpeg's work in both",
    )
