"""The forecast in words and tables of plain text."""

from collections.abc import Iterator
from typing import Any

from alexnet2012.files import in_bytes

JPEG_NOTE = "JPEG storage is taken as a fifth of raw pixels, 39 kB an image at 256 pixels: photographs at quality 95"

BUSY_CORES = 0.5  # the load of the last minute from which a note is due


def render_work(values: dict[str, Any]) -> str:
    """What will run and the disk it needs."""
    return "\n".join([*list_work_lines(values), "", *list_disk_lines(values)])


def render_time(values: dict[str, Any]) -> str:
    """Reading rate, time on this machine, and on so many cards."""
    if not values["schedules"]:
        return "Time: none, for everything is done. Snakemake runs a job again where its code or settings changed."
    return "\n".join([*list_reading_lines(values), "", *list_time_lines(values)])


def list_work_lines(values: dict[str, Any]) -> Iterator[str]:
    yield f"{values['name']}: what will run"
    for each in values["datasets"]:
        images = each["images"]
        about = "" if each["exact"] else "at most " if each["at_most"] else "about "
        otherwise = "packed from other settings, to be packed again" if each["packed_otherwise"] else "not packed yet"
        state = "packed" if each["packed"] else otherwise
        numbers = (
            f"{about}{images['train']:,} train, {images['val']:,} val, {images['test']:,} test, "
            f"{each['classes']:,} classes; {each['origin']}"
        )
        unknown = "how many images is not known, and nothing of its work is counted below"
        yield f"  {each['name']} ({each['kind']}, {state}): {numbers if any(images.values()) else unknown}"
    for sentence in values["missing"]:
        yield f"  the workflow will ask for this: {sentence}"
    for each in values["trainings"]:
        most = "at most " if each["epochs_at_most"] else ""
        yield (
            f"  train {each['variant']} on {each['dataset']}: {plural(len(each['seeds']), 'net')}, seeds "
            f"{', '.join(map(str, each['seeds']))}{done(len(each['seeds_done']), len(each['seeds']))}"
        )
        yield (
            f"    {most}{plural(each['epochs'], 'epoch')} of {each['images_per_epoch']:,} images = "
            f"{each['steps_each']:,} steps a net ({each['steps_per_epoch']:,} an epoch), "
            f"{most}{each['images_in_all']:,} images in all; {each['parameters']:,} parameters"
        )
        if each["few_steps"]:
            yield f"    warning: {each['few_steps']}"
    for each in values["evaluations"]:
        yield (
            f"  evaluate {each['variant']} on {each['dataset']} {each['split']}: {plural(each['nets'], 'net')}, "
            f"{each['crops']} crops of {each['images']:,} images{done(each['nets_done'], each['nets'])}"
        )
    for each in values["averages"]:
        yield (
            f"  average {each['name']} on {each['dataset']} {each['split']}: {each['members']} nets"
            f"{done(int(each['done']), 1)}"
        )
    for each in values["baselines"]:
        yield (
            f"  learn {each['variant']} on {each['dataset']}, seed {each['seed']}: "
            f"{plural(each['models'], 'classifier')} over codes of {each['dimensions']:,} numbers, "
            f"{plural(each['passes'], 'pass', 'passes')}; {in_bytes(each['codes_bytes'])} of codes at a time"
            f"{done(int(each['done']), 1)}"
        )
    totals, baselines = values["totals"], values["baselines"]
    learnt = sum(each["done"] for each in baselines)
    yield (
        f"  in all: {plural(totals['trainings'], 'training')}{done(totals['trainings_done'], totals['trainings'])}, "
        f"{totals['training_images']:,} images in {totals['training_steps']:,} steps"
        f"{left(totals['training_steps_left'], totals['training_steps'])}; "
        f"{plural(totals['evaluations'], 'evaluation')}{done(totals['evaluations_done'], totals['evaluations'])}; "
        f"{plural(totals['averages'], 'average')}{done(totals['averages_done'], totals['averages'])}"
        + (f"; {plural(len(baselines), 'baseline')}{done(learnt, len(baselines))}" if baselines else "")
    )


def list_disk_lines(values: dict[str, Any]) -> Iterator[str]:
    disk = values["disk"]
    yield "Disk"
    for each in values["datasets"]:
        size = disk["packed_bytes"][each["name"]]
        there = ", already there" if each["packed"] else ""
        yield (
            f"  packed {each['name']}: {in_bytes(size)} ({each['storage']}, {each['image_bytes']:,} bytes an image)"
            f"{there}"
        )
    if any(each["storage"] == "jpeg" for each in values["datasets"]):
        yield f"    {JPEG_NOTE}"
    yield (
        f"  predictions {in_bytes(disk['predictions_bytes'])}, weights {in_bytes(disk['weights_bytes'])}, checkpoints "
        f"of simultaneous trainings {in_bytes(disk['checkpoints_bytes'])}"
    )
    for each in disk["file_systems"]:
        verdict = "fits" if each["fits"] else "DOES NOT FIT: make room, or link a folder to a larger disk"
        yield (
            f"  {' and '.join(each['folders'])}: {in_bytes(each['needed_bytes'])} still needed, "
            f"{in_bytes(each['free_bytes'])} free: {verdict}"
        )


def list_reading_lines(values: dict[str, Any]) -> Iterator[str]:
    memory, here, *others = values["memory"], *values["schedules"]
    yield "Reading while training, if all that train at once are the fastest"
    if here["simultaneous_trainings"]:
        yield (
            f"  this machine, {plural(here['simultaneous_trainings'], 'training')} at once: "
            f"{here['read_bytes_per_s'] / 1e6:,.1f} MB/s in random reads of {here['read_bytes_per_image']:,} bytes"
        )
    for each in others:
        if each["simultaneous_trainings"]:
            yield (
                f"  {each['where']}: {each['read_bytes_per_s'] / 1e6:,.1f} MB/s, "
                f"{each['read_bytes_per_s_per_training'] / 1e6:,.1f} MB/s a card"
            )
    fits = "fit, and are read from disk once" if memory["packed_fits"] else "do not fit: each epoch reads the disk"
    yield (
        f"  packed data of {in_bytes(memory['packed_bytes'])} in {in_bytes(memory['memory_bytes'])} of memory: they "
        f"{fits}"
    )


def list_time_lines(values: dict[str, Any]) -> Iterator[str]:
    measured, machine = values["measured"], values["machine"]
    most = "at most " if any(each["epochs_at_most"] for each in values["trainings"]) else ""
    yield f"Time ({machine['hardware']}; measured for {measured['took_s']:.0f} s)"
    if measured["busy_cores_before"] >= BUSY_CORES:
        yield (
            f"  note: other work kept about {measured['busy_cores_before']:.1f} cores busy before this was "
            "measured; without it the jobs go faster"
        )
    for each in measured["rates"]:
        yield (
            f"  {each['variant']} on {each['dataset']}: {each['images_per_s']:,.0f} images/s in training, "
            f"{each['ten_crop_images_per_s']:,.0f} in evaluation, in each of "
            f"{plural(each['processes'], 'process', 'processes')} ({each['device']}; {each['origin']})"
        )
    overheads = measured["overheads"]
    yield (
        f"  beside its images: {overheads['train_s']:.1f} s a training, {overheads['predict_s']:.1f} s an evaluation, "
        f"{overheads['average_s']:.1f} s an average"
    )
    for name, seconds in measured["preparations_s"].items():
        yield f"  preparing {name}: {in_time(seconds)}"
    yield f"  {'on':<16}{most + 'in':>16}{'not under':>16}  images/s of the fastest training"
    for each in values["schedules"]:
        speed = f"{each['images_per_s_per_training']:,.0f}, {each['images_per_s_origin']}"
        yield (
            f"  {each['where']:<16}{in_time(each['makespan_s']):>16}{in_time(each['lower_bound_s']):>16}  "
            f"{speed if each['simultaneous_trainings'] else 'nothing left to train'}"
        )
    here, *others = values["schedules"]
    if others:
        threads = (others[0]["cores"] - here["cores"]) // others[0]["cards"]
        yield (
            f"  cards are taken to come with {plural(threads, 'core')} each (torch_threads), beside this machine's "
            f"{here['cores']}; preparing takes as long as here"
        )


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def done(count: int, of: int) -> str:
    if not count:
        return ""
    return ", done already" if count == of else f", {count} done already"


def left(count: int, of: int) -> str:
    return "" if count == of else f", of which {count:,} are left"


def in_time(seconds: float) -> str:
    """1 h 05 min, 3 min 20 s, 12 s, 4.2 days."""
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    if seconds >= 3600:
        hours, rest = divmod(round(seconds / 60), 60)
        return f"{hours} h {rest:02d} min"
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    return f"{seconds:.0f} s"
